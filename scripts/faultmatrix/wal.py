"""Where records end in SQLite's write-ahead log. Format: sqlite.org/fileformat2.html, section 4."""

from __future__ import annotations

import struct
from pathlib import Path

HEADER, FRAME_HEADER = 32, 24


def commits(path: Path) -> list[int]:
    """Return the offsets at which the transactions of a log end, the header's end first."""
    content = path.read_bytes()
    if len(content) < HEADER:
        return []
    page = struct.unpack(">I", content[8:12])[0]
    salts, ends, at = content[16:24], [HEADER], HEADER
    while at + FRAME_HEADER + page <= len(content) and content[at + 8 : at + 16] == salts:
        at += FRAME_HEADER + page
        if struct.unpack(">I", content[at - page - FRAME_HEADER + 4 :][:4])[0]:
            ends.append(at)
    return ends
