"""Words for numbers: counts, durations, lists; and texts from outside as a terminal may show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def counted(count: int, thing: str) -> str:
    """Return `1 trial`, `2 trials`."""
    return f"{count:,} {thing}{'s' * (count != 1)}"


def listed(texts: Sequence[str], most: int = 12, between: str = ", ") -> str:
    """Return texts one after another, and how many more there are."""
    more = f"{between}… ({len(texts)})" if len(texts) > most else ""
    return between.join(texts[:most]) + more


def duration(seconds: float) -> str:
    """Return seconds as people say them."""
    if seconds < 120:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def seconds_line(stages: Mapping[str, float]) -> str:
    """Return where the seconds went: `start 0.4 s, compose 0.2 s, …`."""
    return ", ".join(f"{name} {seconds:.1f} s" for name, seconds in stages.items())


def printable(text: str) -> str:
    r"""Return a text with escapes for all that acts on a terminal instead of being shown, as `\x1b` or `\n`."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
