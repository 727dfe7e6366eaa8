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
    """Return the screen that the settings ask for."""
    if settings.mode == "json":
        return JsonLines(settings.every)
    if settings.mode == "quiet":
        return Quiet()
    return Plain(settings.every)
