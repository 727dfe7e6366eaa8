"""Rows of a SQLite file read page by page, whatever is left of the structure that leads to them.

Every page is taken for a leaf of a table's tree; most are not, and none of what is then read has a checksum that holds.
Source: sqlite.org/fileformat2.html, sections 1.5 (pages), 1.5.1 (freelist), 2.1 (records) and 4.1 (the log's frames).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

SIZE = 4096  # of a page, where the header does not say
LOG = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")  # how a write-ahead log begins
HEADER = 100  # bytes before what the first page holds
WHOLE = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}  # bytes of an integer, by its serial type
UNREADABLE = (struct.error, IndexError, ValueError, KeyError)  # what reading something else as a row raises

Pages = Mapping[int, bytes]


def read_pages(path: Path) -> dict[int, bytes]:
    """Return the pages of a database by number, from 1, those of its write-ahead log in place of older ones."""
    content = path.read_bytes()
    (size,) = struct.unpack_from(">H", content.ljust(18, b"\0"), 16)
    size = 65536 if size == 1 else size
    size = size if size >= 512 and size & (size - 1) == 0 else SIZE
    pages = {at // size + 1: content[at : at + size].ljust(size, b"\0") for at in range(0, len(content), size)}
    log = path.with_name(f"{path.name}-wal")
    return pages | (_committed(log.read_bytes(), size, len(pages)) if log.exists() else {})


def rows(pages: Pages) -> Iterator[tuple[int, list[Any]]]:
    """Yield every row that can be read, with its number in its table: of two versions, the later has the larger one."""
    free = _free(pages)
    for number, page in pages.items():
        if number not in free:
            yield from _rows_of(pages, page, HEADER if number == 1 else 0)


def _committed(log: bytes, size: int, before: int) -> dict[int, bytes]:
    """Return the pages of whole transactions of a write-ahead log. A frame of an earlier log has another salt.

    before: how many pages the database has without it.
    """
    found: dict[int, bytes] = {}
    pending: dict[int, bytes] = {}
    most = before + len(log) // size
    for at in range(32, len(log) - size - 23, size + 24) if log[:4] in LOG else ():
        number, total = struct.unpack_from(">II", log, at)
        if log[at + 8 : at + 16] != log[16:24]:
            break
        if 0 < number <= most:  # any other number is damaged, and would make a file of terabytes
            pending[number] = log[at + 24 : at + 24 + size]
        if total:  # the last frame of a transaction says how many pages there are
            found |= pending
            pending = {}
    return found


def _free(pages: Pages) -> set[int]:
    """Return the pages that hold what was deleted, as far as their list can be followed."""
    found: set[int] = set()
    (trunk,) = struct.unpack_from(">I", pages.get(1, b"").ljust(HEADER, b"\0"), 32)
    while trunk in pages and trunk not in found:
        found.add(trunk)
        following, count = struct.unpack_from(">II", pages[trunk])
        if count > len(pages[trunk]) // 4 - 2:
            break
        found.update(struct.unpack_from(f">{count}I", pages[trunk], 8))
        trunk = following
    return found


def _rows_of(pages: Pages, page: bytes, start: int) -> Iterator[tuple[int, list[Any]]]:
    (count,) = struct.unpack_from(">H", page, start + 3)
    if count > (len(page) - start - 8) // 6:  # a row takes 4 bytes, and 2 say where it is
        return
    for at in struct.unpack_from(f">{count}H", page, start + 8):
        try:
            length, after = _varint(page, at)
            number, after = _varint(page, after)
            yield number, _values(_payload(pages, page, after, length))
        except UNREADABLE:
            continue


def _payload(pages: Pages, page: bytes, at: int, length: int) -> bytes:
    """Return a row's bytes: those on its page, then those on the pages where it goes on."""
    size = len(page)
    here, least = length, (size - 12) * 32 // 255 - 23
    if length > size - 35:
        here = least + (length - least) % (size - 4)
        here = here if here <= size - 35 else least
    parts, missing = [page[at : at + here]], length - here
    following = struct.unpack_from(">I", page, at + here)[0] if missing else 0
    seen: set[int] = set()
    while missing > 0:
        if following in seen:
            raise ValueError("a row that goes round in circles")
        seen.add(following)
        rest = pages[following]
        parts.append(rest[4 : 4 + min(missing, size - 4)])
        missing -= size - 4
        (following,) = struct.unpack_from(">I", rest)
    return b"".join(parts)


def _values(payload: bytes) -> list[Any]:
    """Return the values of a row."""
    at, end = _varint(payload, 0)[::-1]
    found = []
    kinds = []
    while at < end:
        kind, at = _varint(payload, at)
        kinds.append(kind)
    for kind in kinds:
        value, at = _value(payload, at, kind)
        found.append(value)
    return found


def _value(payload: bytes, at: int, kind: int) -> tuple[Any, int]:
    if kind in (0, 8, 9):
        return (None if kind == 0 else kind - 8), at
    if kind in WHOLE:
        return int.from_bytes(payload[at : at + WHOLE[kind]], "big", signed=True), at + WHOLE[kind]
    if kind == 7:
        return struct.unpack_from(">d", payload, at)[0], at + 8
    if kind < 13 or kind % 2 == 0 or at + (kind - 13) // 2 > len(payload):
        raise ValueError("no text, which is all that the ledger has besides numbers")
    end = at + (kind - 13) // 2
    return payload[at:end].decode(), end


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return an integer of 1 to 9 bytes, seven bits in each but the last of nine, and where it ends."""
    value = 0
    for place in range(8):
        value = value << 7 | data[at + place] & 0x7F
        if data[at + place] < 0x80:
            return value, at + place + 1
    value = value << 8 | data[at + 8]
    return (value - (1 << 64) if value >> 63 else value), at + 9
