"""Text in Markdown."""

from __future__ import annotations

import re


def escaped(text: str) -> str:
    """Return text that Markdown, with HTML in it, shows as it is, also in a table's cell."""
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]()#~|!$])", r"\\\1", text)
