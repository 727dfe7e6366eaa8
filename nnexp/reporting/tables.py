"""The tables of a report as files: all of a table as CSV, what a reader sees of it as TeX."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from nnexp.reporting.document import Column, Interval, Table, Value
from nnexp.reporting.printing import exact, shown, shown_columns

# What a spreadsheet takes for the beginning of a formula, also written full width.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")

TEX = {
    **{each: f"\\{each}" for each in "&%$#_{}"},
    **{each: f"{{{each}}}" for each in "[]*"},  # after the end of a row, these would be arguments of it
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "|": r"\textbar{}"},
    **{"<": r"\textless{}", ">": r"\textgreater{}", '"': r"{\char34}", "`": r"\textasciigrave{}", "'": r"{\char39}"},
    **{"-": "{-}", "–": "--", "—": "---", "…": r"\dots{}", "\N{NO-BREAK SPACE}": "~"},  # -- would be a dash
    **{
        "−": "$-$",
        "∞": r"$\infty$",
        "±": r"$\pm$",
        "×": r"$\times$",
        "≤": r"$\leq$",
        "≥": r"$\geq$",
        "≈": r"$\approx$",
    },
    **{"↑": r"$\uparrow$", "↓": r"$\downarrow$", "→": r"$\rightarrow$", "·": r"$\cdot$", "µ": r"$\mu$", "²": "$^2$"},
    **{"μ": r"$\mu$", "σ": r"$\sigma$", "Δ": r"$\Delta$", "α": r"$\alpha$", "β": r"$\beta$", "η": r"$\eta$"},
}
LATIN = "\u017f"  # up to here, every LaTeX has the letters


def save(table: Table, folder: Path) -> tuple[Path, Path]:
    """Write NAME.csv and NAME.tex into a folder, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {"csv": csv_text(table), "tex": tex_text(table)}
    paths = {kind: folder / f"{table.name}.{kind}" for kind in texts}
    for kind, text in texts.items():
        paths[kind].write_bytes(text.encode(errors="backslashreplace"))  # half a character is written as \ud800
    return paths["csv"], paths["tex"]


def csv_text(table: Table) -> str:
    """Return a table as CSV: RFC 4180 with lines that end in a line feed, UTF-8 without a mark.

    Every row, every digit (the shortest that reads back as the same number); nothing for what is not known, `nan` and
    `inf` for what is not finite, true and false; an interval is three columns: its middle, its low and its high bound.
    A text that a spreadsheet would run as a formula has a ' before it, as spreadsheets mark texts; numbers never do.
    """
    spread = [
        column.format in ("interval", "bounds") or any(isinstance(row[at], Interval) for row in table.rows)
        for at, column in enumerate(table.columns)
    ]
    heads = (_heads(column, wide) for column, wide in zip(table.columns, spread, strict=True))
    lines = [[field for three in heads for field in three]]
    for row in table.rows:
        lines.append([field for value, wide in zip(row, spread, strict=True) for field in _fields(value, wide)])
    return "".join(f"{','.join(_quoted(line))}\n" for line in lines)


def _heads(column: Column, wide: bool) -> Iterator[str]:
    unit = f" ({column.unit})" if column.unit else ""
    names = (column.title, f"{column.title} low", f"{column.title} high") if wide else (column.title,)
    return (_text(f"{name}{unit}") for name in names)


def _fields(value: Value, wide: bool) -> Iterator[str]:
    if isinstance(value, Interval):
        return (exact(each) for each in (value.middle, value.low, value.high))
    return iter((_field(value), "", "") if wide else (_field(value),))


def _field(value: str | float | None) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return _text(value)
    return str(value).lower() if isinstance(value, bool) else exact(value)


def _text(text: str) -> str:
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA) else text


def _quoted(fields: Iterable[str]) -> list[str]:
    texts = [f'"{each.replace(chr(34), chr(34) * 2)}"' if set(each) & set('",\r\n') else each for each in fields]
    return ['""'] if texts == [""] else texts  # an empty line would be no row


def tex_text(table: Table) -> str:
    r"""Return what a reader sees of a table as a TeX tabular, printed alike; it needs \usepackage{booktabs}.

    Letters that not every LaTeX has are named by their number, as [U+1F600], so that it compiles everywhere.
    """
    count = f"{len(table.rows)} rows"
    if len(table.rows) > table.shown:
        count = f"the first {table.shown} of {count}"
    body = [_tex_row([cell.text for cell in row]) for row in zip(*shown_columns(table), strict=True)]
    lines = [
        f"% {tex(table.title)}: {count}. \\usepackage{{booktabs}}",
        rf"\begin{{tabular}}{{{''.join('r' if each.numeric else 'l' for each in table.columns)}}}",
        r"\toprule",
        _tex_row([each.title + (f" ({each.unit})" if each.unit else "") for each in table.columns]),
        *(r"\midrule", *body, r"\bottomrule", r"\end{tabular}"),
    ]
    return "\n".join(lines) + "\n"


def _tex_row(texts: Iterable[str]) -> str:
    return f"{' & '.join(tex(each) for each in texts)} \\\\"


def tex(text: str) -> str:
    """Return text that TeX prints as it is."""
    return "".join(TEX.get(each) or (each if each <= LATIN else f"{{[}}U+{ord(each):04X}{{]}}") for each in shown(text))
