"""How runs look: names that every store takes, colours that are told apart, descriptions that show what is there."""

from __future__ import annotations

import itertools
import math
import re
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnexp.sweeps.kept import PlannedTrial, Standing
from nnexp.sweeps.leaderboard import Row, aggregate
from nnexp.sweeps.results import TrialResult
from nnexp.tracking.appearance import (
    LABEL,
    NAME,
    NOTE,
    colour,
    colours,
    run_name,
    sweep_note,
    trial_name,
    trial_note,
    trial_tags,
)
from nnexp.tracking.views import Place
from nnexp.training.settings import Objective

PLACE = Place("7", "mine-0123abcd")


def planned(label: str = "adam seed=2", configuration: str = "c0ffee", key: str = "k") -> PlannedTrial:
    return PlannedTrial(key, 0, configuration, label, label.rpartition(" seed=")[0] or label, Objective())


def result(outcome: str = "finished", objective: float | None = 0.9, reason: str | None = None) -> TrialResult:
    return TrialResult(
        outcome=outcome,
        epoch=12,
        objective=objective,
        summary={"epoch_best": 9.0, "test/acc": 0.8} if outcome == "finished" else {},
        costs={"wall_seconds": 1.0},
        stack_width=3,
        started_at=1.0,
        ended_at=2.0,
        code="code",
        reason=reason,
    )


def standing(each: TrialResult) -> Standing:
    return Standing("k", each.outcome, epoch=each.epoch, note=each.reason, result=each)


def row(label: str = "adam") -> Row:
    trials = [planned(f"{label} seed={seed}", key=str(seed)) for seed in range(3)]
    return aggregate(trials, {str(seed): result(objective=0.8 + seed / 10) for seed in range(3)})


# names


def test_the_seed_comes_last_and_the_rest_keeps_its_order() -> None:
    assert trial_name("seed=3 adam lr=0.1") == "adam lr=0.1 seed=3"
    assert trial_name("adam lr=0.1 seed=3") == "adam lr=0.1 seed=3"
    assert trial_name("seed=3") == "seed=3"


@given(st.text(max_size=600))
def test_a_name_is_one_line_that_is_neither_empty_nor_too_long(text: str) -> None:
    for name in (run_name(text), trial_name(text)):
        assert 0 < len(name) <= NAME
        assert name.split() == name.split(" ")


def test_a_name_that_is_cut_says_so() -> None:
    assert run_name("x" * NAME) == "x" * NAME
    assert run_name("x" * (NAME + 1)) == "x" * (NAME - 1) + "…"


# colours


def linear(code: str) -> list[float]:
    channels = [int(code[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    return [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels]


def contrast_on_white(code: str) -> float:
    """WCAG 2.2's contrast ratio."""
    luminance = sum(weight * each for weight, each in zip((0.2126, 0.7152, 0.0722), linear(code), strict=True))
    return 1.05 / (luminance + 0.05)


def oklab(code: str) -> tuple[float, ...]:
    red, green, blue = linear(code)
    long, medium, short = (
        math.cbrt(0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue),
        math.cbrt(0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue),
        math.cbrt(0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue),
    )
    return (
        0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short,
    )


def test_colours_are_readable_on_white_and_far_from_those_of_their_neighbours() -> None:
    for number in range(100):
        assert re.fullmatch("#[0-9a-f]{6}", colour(number))
        assert contrast_on_white(colour(number)) >= 3  # what WCAG asks of graphics
        for other in range(number + 1, number + 5):
            assert math.dist(oklab(colour(number)), oklab(colour(other))) > 0.1  # 0.02 are just noticeable


def test_the_first_fifteen_colours_are_told_apart() -> None:
    for one, other in itertools.combinations(range(15), 2):
        assert math.dist(oklab(colour(one)), oklab(colour(other))) > 0.05


def test_repeats_share_their_colour_and_configurations_have_theirs_by_their_place_in_the_plan() -> None:
    found = colours(["a", "b", "a", "b", "c"])
    assert found == {"a": colour(0), "b": colour(1), "c": colour(2)}
    assert trial_tags(planned(), found["b"]) == {"mlflow.runColor": colour(1), LABEL: "adam"}


# descriptions


def test_a_sweep_says_what_became_of_every_planned_trial() -> None:
    states = ["finished"] * 5 + ["diverged"] * 4 + ["failed"] * 3 + ["stopped"] * 2 + ["planned", "running"]
    note = sweep_note(PLACE, [row()], states)
    assert "16 trials planned: 5 finished, 4 diverged, 3 failed, 2 stopped, 2 missing." in note
    assert "| 1 | adam | 0.9000 ± 0.2484 | 0.8000 ± 0.0000 |" in note


def test_a_sweep_links_its_view_and_its_curves_relative_to_the_server() -> None:
    links = re.findall(r"\[[^]]*\]\(([^)]*)\)", sweep_note(PLACE, [], []))
    assert len(links) == 2
    for link, mode in zip(links, ([], ["CHART"]), strict=True):
        path, _, options = link.partition("?")
        assert path == "#/experiments/7/runs"
        found = parse_qs(options)
        assert found["workflowType"] == ["machine_learning"]
        assert found["viewStateShareKey"] == ["nnexp-mine-0123abcd"]
        assert found.get("compareRunsMode", []) == mode


def test_a_sweep_says_how_to_search_its_trials() -> None:
    assert "\n    tags.`nnexp.sweep` = 'mine-0123abcd' AND tags.`nnexp.kind` = 'trial'\n" in sweep_note(PLACE, [], [])


def test_what_markdown_would_read_in_a_label_is_shown() -> None:
    label = "*a* _b_ `c` [d](e) <img src=x> f|g #h ~~i~~ \\ &amp;"
    shown = r"\*a\* \_b\_ \`c\` \[d\]\(e\) &lt;img src=x&gt; f\|g \#h \~\~i\~\~ \\ &amp;amp;"
    assert f"| 1 | {shown} |" in sweep_note(PLACE, [row(label)], [])
    assert trial_note(PLACE, planned(label), standing(result()), None).startswith(f"**{shown}** ")


def test_a_description_fits_its_tag_with_as_many_configurations_as_there_is_room_for() -> None:
    few = sweep_note(PLACE, [row(f"{number} {'x' * 1500}") for number in range(30)], [])
    assert len(few) <= NOTE
    assert "| 3 | 2 xxx" in few
    assert "… and 2" in few
    assert few.endswith(f"group them by the tag `{LABEL}`.")
    assert len(sweep_note(PLACE, [row("x" * 9000)], [])) <= NOTE
    assert len(trial_note(PLACE, planned("x" * 9000), standing(result(reason="y" * 9000)), None)) <= NOTE


def test_a_trial_says_how_it_ended_what_its_configuration_gives_and_where_its_repeats_are() -> None:
    first, mean, link, search = trial_note(PLACE, planned(), standing(result()), row()).split("\n\n")
    assert first == "**adam seed=2** finished after 12 epochs: val/acc 0.9000 in its best epoch, 9."
    assert mean.startswith(
        "Its configuration, over 3 repeats, ± half of the 95 % interval: val/acc\\_best 0.9000 ± 0.2"
    )
    found = parse_qs(urlsplit(link[link.index("(") + 1 : link.index(")")]).fragment.partition("?")[2])
    wanted = f"{PLACE.trials} AND tags.`nnexp.configuration` = 'c0ffee'"
    assert found == {"workflowType": ["machine_learning"], "searchFilter": [wanted]}
    assert search.strip() in wanted


@pytest.mark.parametrize(
    ("each", "said"),
    [
        (result("diverged", None), "diverged in epoch 12."),
        (result("failed", None, "killed <twice>"), "failed in epoch 12: killed &lt;twice&gt;"),
    ],
)
def test_a_trial_that_did_not_finish_says_why(each: TrialResult, said: str) -> None:
    first, *rest = trial_note(PLACE, planned(), standing(each), None).split("\n\n")
    assert first == f"**adam seed=2** {said}"
    assert len(rest) == 2
