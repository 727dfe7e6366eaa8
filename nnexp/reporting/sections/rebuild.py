"""How to rebuild the report and run the sweep again, and a filled checklist of what a reader needs to know."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from nnexp.reporting.document import (
    Block,
    Bullets,
    Code,
    Column,
    Details,
    Inline,
    Paragraph,
    Section,
    Steps,
    Table,
    inline,
)
from nnexp.reporting.printing import seconds
from nnexp.reporting.study import Study, told

RUN_SETTINGS = ("paths.", "screen.", "tracking.", "executor.", "sweep.rerun", "sweep.dry_run", "sweep.confirm_above")


def rebuild(study: Study) -> Section:
    """Return the section."""
    return Section("rebuild", "How to rebuild and re-run", tuple(_blocks(study)))


def _blocks(study: Study) -> Iterator[Block]:
    yield Paragraph("This report is made of the files in snapshot/ and of nothing else. The first command builds it "
                    "again from them and compares every byte; the others train the sweep again.")  # fmt: skip
    yield Steps(("python -m nnexp.report --check .", *(command(each) for each in study.sweeps)))
    yield Paragraph(inline(
        "Equal bytes need the versions of nnexp, Matplotlib, NumPy and SciPy that ", Code("provenance.json"),
        " names; equal results of trainings the same numerics version and, for the last bit, the same BLAS kernel.",
    ))  # fmt: skip
    yield _sweeps(study)
    yield _environment(study)
    yield Details("Digests of the data", (_data(study),))
    yield Paragraph("A checklist, filled by the program:")
    yield Bullets(tuple(_checklist(study)))


def command(sweep: Mapping[str, Any]) -> str:
    """Return the command that plans the same sweep: its arguments without where it ran and what was shown."""
    given = [str(each) for each in sweep.get("argv") or sweep.get("overrides", ())]
    kept = [each for each in given if not each.lstrip("+~").startswith(RUN_SETTINGS)]
    return shlex.join(["python", "-m", "nnexp.run", *kept])


def _sweeps(study: Study) -> Table:
    rows = tuple(
        (str(each["name"]), str(each["id"]), _day(each["planned_at"]), str(each.get("nnexp", "")),
         str(each.get("numerics", "")), str(each.get("code", ""))[:12], str(each.get("hash", ""))[:12])
        for each in study.sweeps
    )  # fmt: skip
    columns = (
        Column("sweep", format="code"), Column("id", format="code"), Column("planned, UTC"), Column("nnexp"),
        Column("numerics"), Column("code", format="code"), Column("plan", format="code"),
    )  # fmt: skip
    note = "Code: digest of nnexp's own source files. Plan: digest of the trials' keys, in order."
    return Table("sweeps", "Sweeps", columns, rows, note=note)


def _day(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M")


def _environment(study: Study) -> Table:
    found: dict[str, list[str]] = {}
    for sweep in study.sweeps:
        told_facts = sweep.get("environment") or {}
        packages = ", ".join(f"{name} {version}" for name, version in (told_facts.get("packages") or {}).items())
        git = told_facts.get("git") or {}
        commit = f"{str(git.get('commit', ''))[:12]}{' with changes' if git.get('dirty') == 'true' else ''}"
        facts = {
            "Python": told_facts.get("python"), "packages": packages, "BLAS": told_facts.get("blas"),
            "system": told_facts.get("platform"), "processor": told_facts.get("processor"),
            "cores": told_facts.get("cores"), "commit": commit,
        }  # fmt: skip
        for name, value in facts.items():
            text = str(value) if value else "not recorded"
            found.setdefault(name, []).extend([] if text in found.get(name, []) else [text])
    rows = tuple((name, "; ".join(values)) for name, values in found.items())
    return Table("environment", "Where the trials ran", (Column("what"), Column("which", format="code")), rows)


def _data(study: Study) -> Table:
    rows = sorted(
        {(str(name), str(digest)) for each in study.sweeps for name, digest in each.get("datasets", {}).items()}
    )
    columns = (Column("dataset and its division", format="code"), Column("SHA-256", format="code"))
    note = "Of the examples and of which of them train, validate and test."
    return Table("data", "Data", columns, tuple(rows), note=note)


def _checklist(study: Study) -> Iterator[Inline]:
    ranges = (
        "; ".join(f"{axis.name}: {', '.join(map(told, axis.values))}" for axis in study.axes) or "nothing was swept"
    )
    yield inline("Ranges considered: ", Code(ranges), ".")
    yield inline("How the configuration was selected: the best mean over seeds of ", Code(study.objective.metric),
                 " at the best epoch, on the validation part; ties go to the earlier one of the plan.")  # fmt: skip
    yield inline(f"Runs: {len(study.repeats):,}, of {len(study.configurations):,} configurations with "
                 f"{len(study.seeds)} seeds ({', '.join(map(str, study.seeds))}).")  # fmt: skip
    yield inline("What a seed varies: initial weights, the order of examples and dropout",
                 " and the division of the examples." if _splits_by_trial(study) else
                 "; the division of the examples is the same for all.")  # fmt: skip
    yield inline("Error bars: 95 % t intervals of the mean over seeds unless a caption says otherwise; bands of "
                 "curves are quartiles over seeds.")  # fmt: skip
    yield inline("Central tendency and variation: mean, deviation, median and interquartile mean of every "
                 "configuration stand in the leaderboard.")  # fmt: skip
    yield inline("Compute: ", _compute(study), ".")
    yield inline("Statistics: exact sign-flip tests on paired seeds, adjusted by Holm; bootstraps seeded from the "
                 f"trials' keys ({study.entropy}).")  # fmt: skip


def _splits_by_trial(study: Study) -> bool:
    return any(each.config["dataset"].get("split_seed") == "trial" for each in study.configurations)


def _compute(study: Study) -> str:
    total = math.fsum(each.total("wall_seconds") for each in study.configurations)
    processors = sorted({str((each.get("environment") or {}).get("processor") or "unknown") for each in study.sweeps})
    return f"{seconds(total)} of training in all trials, on {', '.join(processors)}"
