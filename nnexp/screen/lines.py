"""Lines on standard output, whoever reads it, if anybody does."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from nnexp.screen.wording import printable


def say(line: str = "") -> None:
    """Print one line at once, its control characters escaped: a label may hold what would act on a terminal."""
    write(printable(line) + "\n")


def complain(text: str) -> None:
    """Print one line on standard error as nnexp's, its control characters escaped."""
    print(f"nnexp: {printable(text)}", file=sys.stderr)


def write(text: str) -> None:
    """Write a text as it is, at once. Where nobody reads any more (`| head`), go on in silence."""
    try:
        sys.stdout.write(encodable(text, sys.stdout.encoding))
        sys.stdout.flush()
    except OSError:  # also a full disk, or a terminal that is gone: what counts is in the ledger
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  # until the process ends


def encodable(text: str, encoding: str | None) -> str:
    """Return a text with escapes for what an encoding lacks, as ± in ASCII."""
    encoding = encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def agrees(question: str) -> bool:
    """Ask a person at the terminal; anything but yes is no."""
    try:
        return input(f"{printable(question)} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False
