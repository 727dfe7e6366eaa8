"""Drawing: the same bytes wherever and whenever, one look for an arm everywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnexp.reporting.drawing import COLORS, DPI, WIDTH, look, new_figure, rounded, save, style, styled

DRAW = """
import sys
from pathlib import Path
from typing import Any
import numpy as np
from nnexp.reporting.drawing import save
from nnexp.reporting.figures.costs import Ended, accounting
from nnexp.reporting.figures.lines import Curve, expected_best
from nnexp.reporting.figures.networks import Points, Region, animate, regions
x = np.arange(1.0, 17.0)
names = ("sgd", "mömentum", "$a$", "b_c", "未")
curves = [Curve(name, at, x, 1 - 1 / (x + at), 0.9 - 1 / (x + at), 1.1 - 1 / (x + at)) for at, name in enumerate(names)]
out = Path(sys.argv[1])
save(expected_best(curves, "val/acc"), out, "lines")
save(accounting([Ended("sgd", 3, 1, 1, 1, 1)]), out, "hatched")
grid = np.linspace(-1, 1, 20)
panels = [Region("sgd", grid, grid, (np.add.outer(at * grid, grid) > 0).astype(np.int64)) for at in range(3)]
points = Points(grid, grid, np.arange(20) % 2)
frames = [regions([panel], points, ["a", "b"], f"Epoch {at}") for at, panel in enumerate(panels)]
save(frames[0], out, "regions")
(out / "moving.png").write_bytes(animate(frames))
"""


def written(folder: Path, **environment: str) -> dict[str, bytes]:
    """Return the files of a figure that another process drew."""
    told = {name: value for name, value in os.environ.items() if name not in ("LC_ALL", "LANG", "TZ")} | environment
    subprocess.run([sys.executable, "-W", "error", "-c", DRAW, str(folder)], check=True, env=told, timeout=120)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_another_process_time_zone_locale_and_hash_seed_write_the_same_bytes(tmp_path: Path) -> None:
    rc = tmp_path / "matplotlibrc"
    rc.write_text("font.size: 30\nfigure.facecolor: red\nsavefig.dpi: 300\nsavefig.bbox: tight\n")
    one = written(tmp_path / "one", PYTHONHASHSEED="1", TZ="Asia/Tokyo", LC_ALL="C")
    other = written(tmp_path / "other", PYTHONHASHSEED="2", TZ="UTC", LC_ALL="de_DE.UTF-8", MATPLOTLIBRC=str(rc))
    names = ("hatched", "lines", "regions")
    assert sorted(one) == sorted(
        [*(f"{name}.{each}" for name in names for each in ("pdf", "png", "svg")), "moving.png"]
    )
    assert [name for name in one if one[name] != other[name]] == []


def test_files_tell_neither_the_time_nor_who_drew_them(tmp_path: Path) -> None:
    drawn = save(new_figure(2), tmp_path, "empty")
    assert drawn.svg == (tmp_path / "empty.svg").read_bytes()
    for format in ("svg", "png", "pdf"):
        content = (tmp_path / f"empty.{format}").read_bytes()
        assert [each for each in (b"Date", b"Software", b"Matplotlib v", b"Producer") if each in content] == []


def test_a_png_is_as_wide_as_a_report_and_white(tmp_path: Path) -> None:
    from PIL import Image

    save(new_figure(2), tmp_path, "empty")
    with Image.open(tmp_path / "empty.png") as image:
        assert image.size == (round(WIDTH * DPI), 2 * DPI)
        assert image.convert("RGB").getpixel((5, 5)) == (255, 255, 255)


def test_the_style_ends_with_its_block_and_ignores_what_was_set() -> None:
    import matplotlib

    with matplotlib.rc_context({"lines.linewidth": 99, "font.size": 33}):
        with style():
            assert matplotlib.rcParams["lines.linewidth"] < 3
            assert matplotlib.rcParams["font.size"] >= 8
        assert matplotlib.rcParams["lines.linewidth"] == 99


def test_a_styled_function_draws_in_the_style() -> None:
    import matplotlib

    seen = []

    @styled
    def draw(height: float):  # type: ignore[no-untyped-def]
        seen.append(matplotlib.rcParams["svg.fonttype"])
        return new_figure(height)

    draw(1)
    assert seen == ["path"]
    assert matplotlib.rcParams["svg.fonttype"] == "path"


def test_no_two_of_many_arms_look_alike() -> None:
    looks = [look(place) for place in range(3 * len(COLORS))]
    assert len({(each.color, each.marker) for each in looks}) == len(looks)
    first = looks[: len(COLORS)]
    for field in ("color", "marker", "dashes"):
        assert len({getattr(each, field) for each in first}) == len(COLORS), field


def test_every_colour_stands_out_from_white() -> None:
    assert min(contrast(each) for each in COLORS) > 2


@pytest.mark.parametrize("kind", ["deuteranopia", "protanopia"])
def test_the_first_eight_colours_differ_for_the_colour_blind(kind: str) -> None:
    seen = [as_seen(each, kind) for each in COLORS[:8]]
    near = [(a, b) for a, b in combinations(range(8), 2) if np.linalg.norm(seen[a] - seen[b]) < 0.08]
    assert near == []


def test_numbers_are_rounded_before_they_are_drawn() -> None:
    assert rounded([0.12345678, 1234567.8, np.nan, -np.inf]).tolist()[:2] == [0.123457, 1234570.0]
    assert rounded([[0.1 + 0.2, np.inf]]).tolist() == [[0.3, np.inf]]
    assert rounded(2.0).shape == ()


def linear(color: str) -> Any:
    """Return a colour in linear light."""
    from matplotlib.colors import to_rgb

    values = np.array(to_rgb(color))
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def contrast(color: str) -> float:
    """Return the contrast of a colour to white, as WCAG 2 defines it."""
    return float(1.05 / (linear(color) @ [0.2126, 0.7152, 0.0722] + 0.05))


def as_seen(color: str, kind: str) -> Any:
    """Return a colour as the colour-blind see it: Machado et al. 2009, doi:10.1109/TVCG.2009.113, severity 1."""
    matrices = {
        "protanopia": [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ],
        "deuteranopia": [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ],
    }
    return np.clip(np.array(matrices[kind]) @ linear(color), 0, 1) ** (1 / 2.2)
