"""A report as one HTML file: it opens from a disk without a network, and reads without a script.

Texts are escaped by the template. A policy in the page allows its own style sheet and its own script, each by its hash,
and images within the page: nothing else loads or runs, even if something got past the escaping. No value of the report
is part of the script.

Source: W3C, Content Security Policy Level 3, https://www.w3.org/TR/CSP3/, section 6.7.2 (hashes).
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from nnexp.reporting.document import Code, Document, Inline, Table, Text, inline
from nnexp.reporting.places import Places
from nnexp.reporting.printing import MISSING, Cell, address, exactly, shown, shown_columns

HERE = Path(__file__).parent
CALLED = {"answer": "Answer.", "warning": "Warning.", "note": "Note.", "refusal": "Refused."}


def html_text(document: Document) -> str:
    """Return the page of a document; the same document gives the same text."""
    style, script = (_source(f"page.{kind}") for kind in ("css", "js"))
    template = _environment().get_template("page.html.j2")
    text = template.render(
        document=document,
        places=Places.of(document),
        policy=_policy(style, script),
        style=style,
        script=script,
        called=CALLED,
        missing=MISSING,
    )
    return text.encode(errors="backslashreplace").decode()


def _source(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """Return what the page may do: show images that it holds, use its own style sheet, run its own script."""
    return "; ".join(
        (
            "default-src 'none'",
            "img-src data:",
            f"style-src '{_sha256(style)}'",
            f"script-src '{_sha256(script)}'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _sha256(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "kind": lambda thing: "str" if isinstance(thing, str) else type(thing).__name__,
        "parts": _parts,
        "shown": shown,
        "address": address,
        "data": lambda content: base64.b64encode(content).decode(),
        "body": _body,
        "key": _key,
        "lines": lambda command: [exactly(line) for line in command.split("\n")],
        "head": _head_column,
    }
    return environment


def _parts(text: Text) -> Inline:
    """Return what a text consists of, as it may be shown."""
    return tuple(
        shown(each) if isinstance(each, str) else Code(exactly(each.text)) if isinstance(each, Code) else each
        for each in inline(text)
    )


def _body(table: Table) -> list[tuple[Cell, ...]]:
    """Return the rows that a reader sees, printed."""
    return list(zip(*shown_columns(table), strict=True))


def _key(cell: Cell) -> str:
    """Return what a script reads a cell's number from."""
    return repr(cell.key).replace("inf", "Infinity")


def _head_column(table: Table) -> int:
    """Return which column names the rows: the first that holds text, -1 without one."""
    return next((at for at, column in enumerate(table.columns) if not column.numeric), -1)
