"""Documents for tests of what a report looks like: one as a sweep's report reads, one with hostile texts everywhere.

`python -m tests.reporting.documents FOLDER` writes both, to look at.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image, ImageDraw

from nnexp.reporting.document import (
    Animation,
    Bullets,
    Callout,
    Code,
    Column,
    Details,
    Document,
    FigureBlock,
    Interval,
    Link,
    Omitted,
    Paragraph,
    Reference,
    Section,
    Steps,
    Strong,
    Table,
    Text,
    Value,
    inline,
)
from nnexp.reporting.markdown import markdown_text
from nnexp.reporting.page import html_text
from nnexp.reporting.tables import save

ARMS = ("adam", "adamw", "muon", "momentum", "rmsprop", "lion", "sgd", "adagrad")
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#999999")
BEST = dict(zip(ARMS, (0.9731, 0.9727, 0.9744, 0.9705, 0.9698, 0.9689, 0.9612, 0.9547), strict=True))
SEEDS = 8


def sample() -> Document:
    """Return a document as a sweep over optimizers gives it."""
    return Document(
        "Which optimizer trains a small network on digits best?",
        "Sweep optimizers: 8 optimizers, 7 learning rates, 8 seeds, 448 trials",
        (_answer(), _accounting(), _leaderboard(), _curves(), _rebuild()),
        (
            ("Sweep", Code("optimizers-3f9a1c07")),
            ("Trials", "448 planned, 431 finished, 17 diverged"),
            ("Data", inline("digits, SHA-256 ", Code("9c41e5…d07a"))),
            ("Chosen by", inline("the mean of ", Code("val/acc"), " over seeds 0 to 7")),
            ("Budget", "30 epochs a trial, 56 trials an arm"),
            ("Software", "nnexp 0.5.0, NumPy 2.4.1"),
        ),
    )


def _answer() -> Section:
    return Section(
        "answer",
        "The question and the answer",
        (
            Callout(
                "answer",
                inline(
                    *(Code("muon lr=0.02"), " has the best mean validation accuracy, "),
                    *(Strong("0.9744"), " (95 % interval 0.9719 to 0.9769, 8 seeds). On the test part it reaches "),
                    "0.9702 (0.9671 to 0.9733); what selection made of it is 0.0042.",
                ),
            ),
            Paragraph(
                inline(
                    "It cannot be told apart from ",
                    *(Code("adam lr=0.003"), " and ", Code("adamw lr=0.003"), " with 8 seeds: their paired "),
                    "differences are smaller than their spread, and to see a difference as small as the one to Adam ",
                    *("would take about 31 seeds (", Reference("comparisons"), "). All others are lower by more "),
                    "than chance explains, after Holm’s correction of 7 comparisons.",
                )
            ),
            Callout(
                "warning",
                inline(
                    *("The best learning rate of ", Code("sgd"), " is the largest that was tried, 1. Its best may be "),
                    *("beyond: widen ", Code("axes.lr"), " before you say that it loses."),
                ),
            ),
            Table(
                "comparisons",
                "The best configuration against the others, paired by seed",
                (
                    *(Column("against"), Column("difference", unit="val/acc", format="difference", better="higher")),
                    *(Column("P(better)", format="percent"), Column("p, exact", format="p")),
                    *(Column("p, Holm", format="p"), Column("seeds to see it", format="integer")),
                ),
                tuple(_comparison(at, arm) for at, arm in enumerate(arm for arm in ARMS if arm != "muon")),
                note="Wilcoxon’s signed-rank test, exact; the smallest p that 8 pairs can give is 0.0078.",
            ),
        ),
    )


def _comparison(at: int, arm: str) -> tuple[Value, ...]:
    middle = BEST["muon"] - BEST[arm]
    p = (0.3828125, 0.1953125, 0.0234375, 0.015625, 0.0078125, 0.0078125, 0.00048828125)[at]
    need = 31 if at == 0 else 14 if at == 1 else None
    return arm, Interval(middle, middle - 0.0021, middle + 0.0019), 0.5 + 0.07 * (at + 1), p, min(1.0, p * 7), need


def _accounting() -> Section:
    columns = (Column("arm"), *(Column(name, format="integer") for name in ("planned", "finished", "diverged")))
    more = (*(Column(each, format="integer") for each in ("failed", "missing")), Column("seconds", format="seconds"))
    rows = [
        (arm, 56, 56 - bad, bad, 0, 0, 41.3 + 9.7 * at)
        for at, (arm, bad) in enumerate(zip(ARMS, (0, 0, 2, 4, 0, 3, 8, 0), strict=True))
    ]
    return Section(
        "accounting",
        "Accounting",
        (
            Paragraph("Every trial that was planned is in one of these columns; a diverged one counts as the worst."),
            Table("accounting", "Trials of each arm", (*columns, *more), tuple(rows)),
            Callout("note", "Seeds are replicas here: no configuration was chosen for the seed that suited it."),
            Bullets(
                (
                    inline(Code("lr"), ": 7 values from 0.0003 to 1, evenly on a log scale, the same for every arm"),
                    inline(Code("seed"), ": 0 to 7, in every configuration, so that differences are paired"),
                )
            ),
        ),
    )


def _leaderboard() -> Section:
    random = np.random.default_rng(7)
    rows: list[tuple[Value, ...]] = []
    for arm in ARMS:
        for at, lr in enumerate((0.003, 0.02, 0.1, 0.0003)):
            seeds = BEST[arm] - 0.011 * at + 0.004 * random.standard_normal(SEEDS)
            mean, spread = float(seeds.mean()), float(seeds.std(ddof=1))
            known = Interval(mean, mean - 0.84 * spread, mean + 0.84 * spread)
            low = None if at == 2 and arm == "sgd" else float(seeds.min())
            rows.append((f"{arm} lr={lr:g}", arm, lr, SEEDS, known, spread, low, 3.1 + at + 10 * random.random()))
    rows.sort(key=lambda row: -row[4].middle if isinstance(row[4], Interval) else 0)
    columns = (
        *(Column("rank", format="integer"), Column("configuration"), Column("optimizer", format="code")),
        *(Column("lr", format="number"), Column("n", format="integer")),
        Column("mean, 95 % interval", unit="val/acc", format="interval", better="higher"),
        *(Column("sd", format="score"), Column("worst seed", format="score", better="higher")),
        Column("time to best", format="seconds", better="lower"),
    )
    ranked = tuple((at, *row) for at, row in enumerate(rows, 1))
    return Section(
        "leaderboard",
        "Leaderboard",
        (
            Paragraph("Repeats are one row. The interval is Student’s t over seeds; the files have the bootstrap’s."),
            Table("leaderboard", "Configurations by mean validation accuracy", columns, ranked, "sd: over seeds."),
        ),
    )


def _curves() -> Section:
    caption = "Median of 8 seeds, band from the first to the third quartile; each arm at its best learning rate."
    return Section(
        "curves",
        "Learning curves",
        (
            Paragraph(inline("Muon is ahead from the second epoch on (", Reference("curves"), ").")),
            FigureBlock("curves", "Validation accuracy by epoch", caption, "eight curves that rise", _drawn(6.4)),
            FigureBlock(
                *("curves-wide", "Train and validation loss by epoch", caption, "two panels of curves that fall"),
                svg=_drawn(10.5, 2),
                wide=True,
            ),
            Omitted(
                "Decision regions",
                inline("The data has 64 inputs; regions are drawn for two, as in ", Code("dataset=moons"), "."),
            ),
            Animation(
                *("steps", "How three optimizers descend", "One frame an epoch.", "three dots that approach a minimum"),
                png=_moving(),
                stills=FigureBlock(
                    *("steps-stills", "The same, at four epochs", "Epochs 0, 5, 10 and 30.", "four panels"),
                    svg=_drawn(10.5, 4),
                    wide=True,
                ),
            ),
            Details(
                "Every arm’s curves",
                (Paragraph("The same, one arm a panel."), FigureBlock("every", "By arm", caption, "arms", None)),
            ),
        ),
    )


def _rebuild() -> Section:
    checks = Table(
        "checklist",
        "What a reproducibility checklist asks",
        (Column("asked"), Column("answer")),
        (
            ("Ranges considered", "lr: 0.0003 to 1, 7 values, log; all else as conf/experiment/optimizers.yaml says"),
            ("Selection", "highest mean of val/acc over 8 seeds; test/acc took no part"),
            ("Runs", "448"),
            ("Error bars", "95 %, Student’s t over seeds"),
            ("Compute", "2 cores, 10 minutes"),
        ),
    )
    return Section(
        "rebuild",
        "How to rebuild and to run again",
        (
            Steps(("nnexp-run -m experiment=optimizers", "nnexp-report optimizers --out report --check report")),
            checks,
            Paragraph(inline("Muon: ", Link("Jordan et al. 2024", "https://kellerjordan.github.io/posts/muon/"), ".")),
        ),
    )


def _drawn(width: float, panels: int = 1) -> bytes:
    figure = Figure(figsize=(width, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    epochs = np.arange(1, 31)
    for panel, axes in enumerate(np.atleast_1d(figure.subplots(1, panels, sharey=True))):
        for arm, colour in zip(ARMS, COLOURS, strict=True):
            curve = BEST[arm] - 0.5 * np.exp(-epochs / (3 + 20 * (0.9744 - BEST[arm]) * 10 + panel))
            axes.plot(epochs, curve, color=colour, label=arm, linewidth=1.6)
            axes.fill_between(epochs, curve - 0.01, curve + 0.01, color=colour, alpha=0.15, linewidth=0)
        axes.set_xlabel("epoch")
        axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, frameon=False)
    content = io.BytesIO()
    with rc_context({"svg.hashsalt": "nnexp"}):
        figure.savefig(content, format="svg", metadata={"Date": None, "Creator": None})
    return content.getvalue()


def _moving() -> bytes:
    frames = []
    for at in range(12):
        frame = Image.new("RGB", (480, 280), "white")
        pen = ImageDraw.Draw(frame)
        for arm, colour in enumerate(COLOURS[:3]):
            x, y = 30 + 18 * (at + 1) * (1 + 0.2 * arm), 40 + 60 * arm + 6 * at
            pen.ellipse((x - 8, y - 8, x + 8, y + 8), fill=colour)
        frames.append(frame)
    content = io.BytesIO()
    frames[0].save(content, "PNG", save_all=True, append_images=frames[1:], duration=150, loop=0)
    return content.getvalue()


ELSEWHERE = "127.0.0.1:9"
# Each sets window.attacked where it runs, or asks for something from elsewhere, or breaks what surrounds it.
ATTACKS = (
    "<script>window.attacked = 1</script>",
    "</title></style></script><script>window.attacked = 1</script>",
    "<img src=x onerror=window.attacked=1>",
    '"><img src="http://127.0.0.1:9/asked" onerror="window.attacked=1">',
    "' onfocus='window.attacked=1' autofocus='",
    '" onmouseover="window.attacked=1" style="position:fixed;inset:0"',
    "<style>@import url(http://127.0.0.1:9/asked); body { display: none }</style>",
    "<meta http-equiv=refresh content='0;url=http://127.0.0.1:9/asked'><base href=http://127.0.0.1:9/>",
    "<form action=http://127.0.0.1:9/asked><button autofocus>Go</button></form><!-- <details open ontoggle=attacked=1>",
    "{{ 7 * 7 }} {% raw %} {{ document.__class__ }} ${window.attacked=1} &lt;script&gt; &#60;b&#62;",
    "back`tick ```fence``` | pipe \\| \\ **bold** _it_ ~~no~~ [text](javascript:window.attacked=1) ![x](http://h/x)",
    "line\nfeed\r\n# heading\n\n| a | b |\n|---|---|\n<b>x</b>\n- [ ] task\n\n    code\n---\n",
    "control \x00\x07\x1b[31m\x7f\x85\u2028 half \ud800 turned \u202egnp.exe\u202c \u2066x\u2069",
    "שלום עולם مرحبا 👩‍🔬 🏳️‍🌈 né ﷽ " + "long" * 60,
    "$\\input{/etc/passwd}$ 100 % of #1 & _ ^ ~ {x}",
    "=HYPERLINK(\"http://127.0.0.1:9/asked\")",
)  # fmt: skip
SVG = (
    b'<svg xmlns="http://www.w3.org/2000/svg" width="90" height="30" onload="window.attacked=1">'
    b'<script>parent.attacked = window.attacked = 1</script><image href="http://127.0.0.1:9/asked"/>'
    b'<rect width="90" height="30" fill="#009e73"/></svg>'
)


def hostile(elsewhere: str = ELSEWHERE) -> Document:
    """Return a document with hostile texts in every place that takes one. elsewhere: what they ask."""
    attacks = tuple(attack.replace(ELSEWHERE, elsewhere) for attack in ATTACKS)
    return Document(
        " ".join(attacks),
        " ".join(attacks),
        tuple(_hostile_section(at, attack, elsewhere) for at, attack in enumerate(attacks)),
        tuple((attack, every) for attack in attacks for every in (attack, Code(attack), Strong(attack))),
    )


def _hostile_section(at: int, attack: str, elsewhere: str) -> Section:
    svg = SVG.replace(ELSEWHERE.encode(), elsewhere.encode())
    every: Text = inline(
        *(attack, Code(attack), Strong(attack), Link(attack, attack), Link(attack, "javascript:window.attacked=1")),
        *(Link(attack, f"https://{elsewhere}/{attack}"), Reference(f"drawn-{at}", attack), Reference(attack)),
    )
    table = Table(
        f"table-{at}",
        attack,
        (Column(attack, attack), Column(attack, attack, "code", "higher"), Column(attack, attack, "score", "lower")),
        ((attack, attack, attack), (attack, attack, 0.123456789), (attack, attack, None)),
        every,
        shown=2,
    )
    drawn = FigureBlock(f"drawn-{at}", attack, every, attack, svg)
    moving = Animation(
        f"moving-{at}", attack, every, attack, svg, FigureBlock(f"stills-{at}", attack, every, attack, None)
    )
    callouts = (Callout("answer", every), Callout("warning", every), Callout("note", every), Callout("refusal", every))
    folded = Details(attack, (Paragraph(every), Details(attack, (Steps((attack,)),))))
    blocks = (Paragraph(every), *callouts, Bullets((every, attack)), Steps((attack, attack)), table, drawn, moving)
    return Section(f"section-{at}", attack, (*blocks, Omitted(attack, every), folded))


def write(document: Document, folder: Path) -> None:
    """Write a document's page, Markdown and tables into a folder."""
    folder.mkdir(parents=True)
    (folder / "report.html").write_text(html_text(document), encoding="utf-8")
    (folder / "report.md").write_text(markdown_text(document), encoding="utf-8")
    for table in document.tables():
        save(table, folder / "tables")


if __name__ == "__main__":
    write(sample(), Path(sys.argv[1]) / "sample")
    write(hostile(), Path(sys.argv[1]) / "hostile")
