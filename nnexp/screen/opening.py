"""Which screen there is for which setting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnexp.screen.json_lines import JsonLines
from nnexp.screen.plain import Plain
from nnexp.screen.protocol import Screen
from nnexp.screen.quiet import Quiet

if TYPE_CHECKING:
    from nnexp.config.build import Screen as Settings


def open_screen(settings: Settings) -> Screen:
    """Return the screen that the settings ask for: `auto` is live where a view can change, else plain."""
    if settings.mode == "json":
        return JsonLines(settings.every)
    if settings.mode == "quiet":
        return Quiet()
    if settings.mode == "plain":
        return Plain(settings.every)
    from nnexp.screen.live import Live, Notebook, in_notebook, on_terminal

    if in_notebook():
        return Notebook()
    if on_terminal():
        return Live()
    plain = Plain(settings.every)
    if settings.mode == "live":
        plain.note("note: screen.mode=live needs a terminal or a notebook; there are plain lines instead")
    return plain
