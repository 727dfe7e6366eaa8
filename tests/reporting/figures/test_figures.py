"""Every figure, with hard inputs: no warning, no text that is cut off or covers another, nothing in two sizes."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from nnexp.reporting.drawing import WIDE, WIDTH, as_bytes
from nnexp.reporting.figures.labels import cut, legible, spread, wrapped
from nnexp.reporting.figures.lines import Curve
from nnexp.reporting.figures.settling import visible_labels
from nnexp.reporting.figures.training import curves
from tests.reporting.figures.cases import FIGURES, INPUTS, Input

ALWAYS = ("14 arms", "nothing")
TURNS = [name for name in INPUTS if name not in ALWAYS]
CASES = [(figure, name) for at, figure in enumerate(FIGURES) for name in (*ALWAYS, TURNS[at % len(TURNS)])]
SMALLEST = 8  # points
OVER = 0.7  # points that two texts may share


def shown_texts(figure: Figure) -> list[Text]:
    """Return all texts that are seen."""
    ticks = [label for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) for label in visible_labels(axis)]
    hidden = {id(label) for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) for label in axis_labels(axis)}
    others = [each for each in figure.findobj(Text) if id(each) not in hidden and parents_seen(figure, each)]
    return [each for each in [*ticks, *others] if each.get_visible() and each.get_text().strip()]


def axis_labels(axis: Axis) -> list[Text]:
    """Return the labels of an axis's ticks, seen or not."""
    ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
    return [label for tick in ticks for label in (tick.label1, tick.label2)]


def parents_seen(figure: Figure, text: Text) -> bool:
    """Whether the axes of a text are seen."""
    return text.axes is None or (text.axes.get_visible() and (text.axes.axison or text is text.axes.title))


def box_of(text: Text) -> Bbox:
    """Return where a text is, without its arrow."""
    return Text.get_window_extent(text)


def clipped(figure: Figure) -> list[str]:
    """Return the texts that are not wholly within the figure."""
    page = figure.bbox.padded(0.5)
    boxes = [(each.get_text(), box_of(each)) for each in shown_texts(figure)]
    return [told for told, box in boxes if not (np.all(page.min <= box.min) and np.all(box.max <= page.max))]


def covered(figure: Figure) -> list[tuple[str, str]]:
    """Return the pairs of texts that cover each other; slanted ones are not looked at."""
    texts = [each for each in shown_texts(figure) if not each.get_rotation() % 90]
    room = OVER * figure.dpi / 72
    boxes = [(each.get_text(), box_of(each)) for each in texts]
    return [
        (one, other)
        for (one, a), (other, b) in combinations(boxes, 2)
        if min(a.x1, b.x1) - max(a.x0, b.x0) > room and min(a.y1, b.y1) - max(a.y0, b.y0) > room
    ]


@pytest.mark.parametrize(("name", "given"), CASES)
def test_a_figure_is_drawn_with_hard_inputs_and_its_texts_are_read(name: str, given: str) -> None:
    figure = FIGURES[name](INPUTS[given]())
    assert clipped(figure) == []
    assert covered(figure) == []
    assert min(float(each.get_fontsize()) for each in shown_texts(figure)) >= SMALLEST
    assert figure.get_figwidth() in (WIDTH, WIDE)


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_of_equal_scores_has_no_axis_of_zero_width_and_is_the_same_when_it_is_drawn_again(name: str) -> None:
    figure, again = (FIGURES[name](Input(3, kind="equal")) for _ in range(2))
    for low, high in (sorted(limits()) for axes in figure.axes for limits in (axes.get_xlim, axes.get_ylim)):
        assert high - low > 1e-6 * max(abs(low), abs(high), 1e-9)
    assert as_bytes(figure, "svg") == as_bytes(again, "svg")


def test_a_text_outside_and_two_texts_at_one_place_are_found() -> None:
    figure = Figure(figsize=(2, 2))
    figure.text(0.9, 0.5, "much too long for its place")
    assert clipped(figure) == ["much too long for its place"]
    figure.text(0.5, 0.2, "one")
    figure.text(0.5, 0.2, "other")
    assert covered(figure) == [("one", "other")]


def test_numbers_beside_colours_that_span_decades_are_plain() -> None:
    texts = [each.get_text() for each in shown_texts(FIGURES["interaction"](Input(kind="huge")))]
    assert [each for each in texts if "$" in each or "e+" in each] == []
    assert "10¹²" in texts


def test_a_line_that_ends_off_the_scale_is_told_so_and_does_not_squeeze_the_others() -> None:
    x = np.arange(1.0, 31.0)
    arms = [
        Curve(name, at, x, 0.9 + 0.05 * (1 - 1 / (x + at))) for at, name in enumerate(["a", "b", "c", "d", "e", "f"])
    ]
    figure = curves(
        [*arms, *(Curve(f"{at}", at, x, arms[0].y) for at in range(6, 11)), Curve("z", 11, x, 0.3 + 0.001 * x)], "a"
    )
    assert figure.axes[0].get_ylim()[0] > 0.8
    assert [each.get_text() for each in figure.axes[0].texts if "▾" in each.get_text()] == ["z ▾"]


def test_labels_that_fit_stay_and_those_that_do_not_move_no_farther_than_needed() -> None:
    assert spread([0.1, 0.5, 0.9], 0.1) == pytest.approx([0.1, 0.5, 0.9])
    assert spread([0.5, 0.5], 0.1) == pytest.approx([0.45, 0.55])
    assert spread([0.99, 1.0], 0.1) == pytest.approx([0.9, 1.0])
    assert spread([0.0, 0.0, 0.0], 0.1) == pytest.approx([0.0, 0.1, 0.2])
    assert spread([], 0.1) == []


def test_many_labels_stand_apart_within_the_axes() -> None:
    wanted = sorted(np.random.default_rng(0).random(20).tolist())
    found = spread(wanted, 0.04)
    assert min(b - a for a, b in pairwise(found)) >= 0.04 - 1e-9
    assert found[0] >= -1e-9
    assert found[-1] <= 1 + 1e-9


def test_a_list_of_one_value_tells_how_many_they_are() -> None:
    assert cut("hidden=[32,32,32,32] l2=0") == "hidden=[32 ×4] l2=0"
    assert wrapped("[0.5, 0.5, 0.5]") == "[0.5 ×3]"
    assert [cut(each) for each in ("[32, 32]", "[32, 64, 32]", "[3, 32, 32]")] == [
        "[32, 32]",
        "[32, 64, 32]",
        "[3, 32, 32]",
    ]


def test_a_text_is_cut_or_wrapped_and_holds_only_what_the_font_shows() -> None:
    assert cut("hidden layers=3 lr=0.25", 12) == "hidden…0.25"
    assert cut("just fits", 9) == "just fits"
    assert wrapped("one two three four", 10) == "one two\nthree four"
    assert wrapped("one two three four five", 10) == "one two\nthree…ive"
    assert legible("a\n\tb 学 \x07") == "a b □ □"
    assert legible("lr=0.1 ≥ µ·₁") == "lr=0.1 ≥ µ·₁"
