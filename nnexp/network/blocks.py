"""Blocks: parts of a stack's arrays that stay in cache while several passes run over them."""

from __future__ import annotations

from collections.abc import Iterator

# Five float32 arrays of this size fit a second-level cache of 1 MB.
BLOCK_ELEMENTS = 1 << 15


def cut(rows: int, size: int) -> Iterator[tuple[slice, slice]]:
    """Cut (rows, size) into blocks. How a row is cut depends on its size alone, never on its neighbours."""
    if size < BLOCK_ELEMENTS:
        yield from cut_rows(rows, size)
        return
    width = -(-size // -(-size // BLOCK_ELEMENTS))
    for row in range(rows):
        for start in range(0, size, width):
            yield slice(row, row + 1), slice(start, min(start + width, size))


def cut_rows(rows: int, size: int) -> Iterator[tuple[slice, slice]]:
    """Cut (rows, size) into blocks of whole rows."""
    height = max(1, BLOCK_ELEMENTS // size)
    for row in range(0, rows, height):
        yield slice(row, min(row + height, rows)), slice(0, size)
