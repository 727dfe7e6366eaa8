"""Building a report: from a snapshot to a folder, whole or not at all; and whether it is what its snapshot gives."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from nnexp.errors import DataError, UsageError
from nnexp.reporting.canvas import Canvas
from nnexp.reporting.document import Animation, Document, Inline
from nnexp.reporting.fairness import findings
from nnexp.reporting.markdown import markdown_text
from nnexp.reporting.page import html_text
from nnexp.reporting.sections.outline import outline
from nnexp.reporting.snapshot import Snapshot, read_snapshot, write_snapshot
from nnexp.reporting.study import Study, make_study
from nnexp.reporting.tables import save

SETTINGS, PROVENANCE = "report.json", "provenance.json"
APART = (PROVENANCE, "snapshot")  # what is not made of the snapshot, and so not compared
FORMAT = 1


@dataclass(frozen=True)
class Settings:
    """How a report is made. allow_unequal: rank also over unequal budgets and holes."""

    allow_unequal: bool = False


@dataclass(frozen=True)
class Built:
    """A report that is there. headline: its answer, as text."""

    folder: Path
    study: Study
    headline: str


@dataclass(frozen=True)
class Difference:
    """The first difference between a report and what its snapshot gives."""

    file: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}: {self.text}"


def build(
    snapshot: Snapshot,
    folder: Path,
    settings: Settings = Settings(),
    *,
    provenance: dict[str, object] | None = None,
    lap: Callable[[str], None] = lambda stage: None,
) -> Built:
    """Write a report into a folder, in place of the report that may be there. lap: is told when a stage is done.

    Raises: UsageError if the folder holds something else, or the sweeps cannot be compared.
    """
    check_place(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        write_snapshot(snapshot, building / "snapshot")
        written = read_snapshot(building / "snapshot")  # what anybody will build it from
        study, told = _write(written, building, settings, lap)
        if provenance is not None:
            (building / PROVENANCE).write_text(as_json(provenance), encoding="utf-8")
        building.chmod(0o755)  # mkdtemp's are for their owner alone
        if folder.exists():
            shutil.rmtree(folder)
        building.rename(folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return Built(folder, study, told)


def check(folder: Path) -> Difference | None:
    """Build a report again from its own snapshot; return the first difference, None if all bytes are equal.

    Raises: DataError if there is no report in the folder, or its snapshot is damaged.
    """
    path = folder / SETTINGS
    if not path.is_file():
        raise DataError(f"there is no report in {folder}: {SETTINGS} is missing")
    told = json.loads(path.read_text(encoding="utf-8"))
    if told.get("format") != FORMAT:
        raise DataError(f"report {folder}: format {told.get('format')} is not {FORMAT}, the one that this nnexp writes")
    snapshot = read_snapshot(folder / "snapshot")
    with tempfile.TemporaryDirectory() as name:
        again = Path(name) / "report"
        _write(snapshot, again, Settings(allow_unequal=told["allow_unequal"]), lambda stage: None)
        return next(_differences(folder, again), None)


def check_place(folder: Path) -> None:
    """Raise UsageError if a report cannot be written into a folder."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file, not a folder for a report")
    if folder.exists() and any(folder.iterdir()) and not (folder / SETTINGS).is_file():
        raise UsageError(f"{folder} holds something that is no report: give another --out")


def as_json(plain: object) -> str:
    """Return plain data as JSON for people to read, the same for the same data."""
    return json.dumps(plain, sort_keys=True, indent=1) + "\n"


def plain_text(content: Inline) -> str:
    """Return inline content as text."""
    return "".join(part if isinstance(part, str) else part.text for part in content)


def _write(snapshot: Snapshot, folder: Path, settings: Settings, lap: Callable[[str], None]) -> tuple[Study, str]:
    folder.mkdir(parents=True, exist_ok=True)
    study = make_study(snapshot)
    found = findings(study)
    lap("study")
    document, told = outline(study, Canvas(folder / "figures"), found, allow_unequal=settings.allow_unequal, timed=lap)
    (folder / "report.html").write_text(html_text(document), encoding="utf-8")
    (folder / "report.md").write_text(markdown_text(document), encoding="utf-8")
    for table in document.tables():
        save(table, folder / "tables")
    _write_animations(document, folder / "figures")
    plain = {"format": FORMAT, "allow_unequal": settings.allow_unequal}
    (folder / SETTINGS).write_text(as_json(plain), encoding="utf-8")
    lap("write")
    return study, plain_text(told)


def _write_animations(document: Document, folder: Path) -> None:
    for figure in document.figures():
        if isinstance(figure, Animation):
            (folder / f"{figure.name}.png").write_bytes(figure.png)


def _differences(one: Path, other: Path) -> Iterator[Difference]:
    mine, theirs = _files(one), _files(other)
    for name in sorted(mine.keys() | theirs.keys()):
        if name not in theirs:
            yield Difference(name, "is in the report, but its snapshot does not give it")
        elif name not in mine:
            yield Difference(name, "is missing in the report")
        elif mine[name].read_bytes() != theirs[name].read_bytes():
            yield Difference(name, _first(mine[name].read_bytes(), theirs[name].read_bytes()))


def _files(folder: Path) -> dict[str, Path]:
    found = (path for path in folder.rglob("*") if path.is_file())
    names = ((path.relative_to(folder).as_posix(), path) for path in found)
    return {name: path for name, path in names if name.partition("/")[0] not in APART}


def _first(mine: bytes, theirs: bytes) -> str:
    """Return where two contents differ first, and how."""
    pairs = zip(mine, theirs, strict=False)
    at = next((place for place, (a, b) in enumerate(pairs) if a != b), min(len(mine), len(theirs)))
    line = mine[:at].count(b"\n") + 1
    here, there = (repr(content[max(0, at - 20) : at + 40].decode("utf-8", "replace")) for content in (mine, theirs))
    return f"differs first at byte {at} (line {line}): {here} in the report, {there} of its snapshot"
