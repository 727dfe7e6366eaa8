"""From Python: what the command line does, to the bit, and nothing of Hydra's is left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nnexp
from nnexp.errors import ConfigError, NnexpError, UsageError
from nnexp.outcome import Swept
from nnexp.python import overrides_of
from nnexp.sweeps.ledger import Ledger
from tests.runs import surroundings
from tests.tracking.conftest import CLASSES, SINGLE, Recorded

PROJECT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def surrounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in the environment tells where to track."""
    for name in {*os.environ} - {*surroundings()}:
        monkeypatch.delenv(name)


@pytest.fixture
def swept(root: Path) -> Swept:
    """The recorded sweep over classes, from Python."""
    return nnexp.sweep(*CLASSES[1:], f"paths.root={root}", "screen.mode=quiet")


def folder(recorded: Recorded, name: str) -> Path:
    return recorded.folder(name)


# the same as the command line


def test_a_sweep_is_the_command_lines_to_the_bit(recorded: Recorded, swept: Swept, root: Path) -> None:
    theirs = recorded.folder("classes")
    assert (swept.id, swept.name, swept.folder) == (theirs.name, "classes", root / "sweeps" / theirs.name)
    assert swept.states == {"finished": 8}
    assert swept.halt is None
    for key in swept.trials["key"]:
        for name in ("weights.npz", "history.csv", "config.yaml", "confusion.csv"):
            place = Path("trials") / key[:16] / name
            assert (swept.folder / place).read_bytes() == (theirs / place).read_bytes()
    with closing(Ledger(recorded.root / "ledger.db")) as ledger:
        standing = ledger.standing(theirs.name)
        for _, row in swept.trials.iterrows():
            result = standing[row["key"]].result
            assert result is not None
            assert row["val/acc_best"] == result.objective
            assert {name: row[name] for name in result.summary} == result.summary
    assert sorted(swept.trials["run_id"]) == sorted(run.info.run_id for run in Recorded(root).runs("trial", "classes"))


def test_frames_have_what_is_in_the_files(swept: Swept) -> None:
    written = pandas.read_csv(swept.folder / "leaderboard.csv")
    common = [name for name in swept.leaderboard if name in written]
    assert len(common) > 20
    pandas.testing.assert_frame_equal(swept.leaderboard[common], written[common], check_exact=True, check_dtype=False)
    assert list(swept.leaderboard["optimizer"]) == [label.split()[0] for label in written["configuration"]]
    for key, records in swept.histories.groupby("key"):
        path = swept.folder / "trials" / str(key)[:16] / "history.csv"
        history = pandas.read_csv(path)
        pandas.testing.assert_frame_equal(records[history.columns].reset_index(drop=True), history, check_exact=True)
    weights = swept.weights(swept.trials["key"][0][:12])
    assert {name: each.shape for name, each in weights.items()}["W1"] == (8, 64)


def test_the_same_call_again_trains_nothing_and_returns_the_same(swept: Swept, root: Path) -> None:
    again = nnexp.sweep(*CLASSES[1:], {"paths.root": str(root), "screen.mode": "quiet"})
    pandas.testing.assert_frame_equal(again.trials, swept.trials)
    pandas.testing.assert_frame_equal(again.histories, swept.histories)
    assert set(again.trials["attempts"]) == {1}
    with closing(Ledger(root / "ledger.db")) as ledger:
        (sweep,) = ledger.sweeps()
        assert sweep.settings["argv"] == [*CLASSES, f"paths.root={root}", "screen.mode=quiet"]


def test_a_training_is_the_command_lines_to_the_bit(recorded: Recorded, root: Path) -> None:
    trained = nnexp.train(*SINGLE, f"paths.root={root}", "screen.mode=quiet")
    theirs = recorded.folder("single") / "trials" / trained.key[:16]
    assert trained.state == "finished"
    assert (trained.folder / "weights.npz").read_bytes() == (theirs / "weights.npz").read_bytes()
    history = pandas.read_csv(theirs / "history.csv")
    pandas.testing.assert_frame_equal(trained.history[history.columns], history, check_exact=True)
    assert trained.weights["W1"].shape == (8, 4)
    assert trained.config == nnexp.compose(*SINGLE).trial
    (run,) = Recorded(root).runs("trial", "single")
    assert trained.run_id == run.info.run_id
    assert trained.summary["test/acc"] == run.data.metrics["test/acc"]


def test_a_config_is_what_the_command_line_composes(recorded: Recorded) -> None:
    composed = nnexp.compose(*SINGLE)
    with closing(Ledger(recorded.root / "ledger.db")) as ledger:
        (sweep,) = (each for each in ledger.sweeps() if each.name == "single")
        (about,) = ledger.abouts(sweep.id)
    assert composed.trial.describe() == about["config"]
    assert composed.describe() == {
        **about["config"],
        **{name: composed.describe()[name] for name in vars(composed.run)},
    }
    assert composed.run.sweep.name == "single"
    assert composed.describe()["paths"] == {"root": "runs"}


def test_an_experiment_sweeps_what_its_file_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = nnexp.sweep("experiment=quickstart", f"paths.root={tmp_path}", "sweep.dry_run=true")
    assert (found.name, len(found.trials)) == ("quickstart", 48)
    assert list(found.trials.columns[3:7]) == ["optimizer", "l2.strength", "dropout.keep", "seed"]
    assert "dry run: nothing is trained and nothing is created" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UsageError, match=r"experiment=quickstart is a sweep: nnexp\.sweep trains it"):
        nnexp.train("experiment=quickstart")


def test_a_folder_of_ones_own_choices_is_used(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    text = "# @package _global_\nhydra:\n  mode: MULTIRUN\n  sweeper:\n    params:\n      seed: 1,2\n"
    (tmp_path / "experiment" / "mine.yaml").write_text(text)
    found = nnexp.sweep("experiment=mine", {"optimizer": "sgd"}, "sweep.dry_run=true", config_dir=tmp_path)
    assert list(found.trials["seed"]) == [1, 2]
    with pytest.raises(UsageError, match=r"config_dir 'nowhere' is not a folder"):
        nnexp.compose(config_dir="nowhere")


# errors


@pytest.mark.parametrize(
    ("call", "overrides", "line"),
    [
        (nnexp.compose, ["optimizer=adan"], "optimizer 'adan' is not one of: adadelta, "),
        (nnexp.compose, ["optimizer.lr=-1"], "adam: lr must be > 0, got -1.0"),
        (nnexp.compose, ["optimiser=adam"], "'optimiser' is not a setting; "),
        (nnexp.compose, ["seed=0,1"], r"seed=0,1 names several values: nnexp\.sweep sweeps them"),
        (nnexp.train, ["training.epochs=[1"], "cannot read 'training.epochs=\\[1': "),
        (nnexp.train, ["sweep.seeds=3"], "sweep.seeds"),
        (nnexp.sweep, ["optimizer=null"], "optimizer None is not one of"),
        (nnexp.sweep, ["seed=0,1", "sweep.max_trials=1"], "sweep.max_trials is 1, but the sweep has 2 trials"),
        (nnexp.sweep, ["paths.root=a,b"], "paths.root"),
        (
            nnexp.sweep,
            ["dataset=moons", "seed=range(3)", "sweep.confirm_above=2"],
            "start it with sweep.confirm_above=3",
        ),
    ],
)
def test_what_cannot_be_done_is_an_error_in_one_line(
    call: Callable[..., Any], overrides: list[str], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=line) as caught:
        call(*overrides)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_is_required_and_down_is_an_error(tmp_path: Path) -> None:
    overrides = {"paths.root": str(tmp_path), "tracking.uri": "'http://127.0.0.1:9'", "tracking.required": True}
    with pytest.raises(NnexpError, match=r"127\.0\.0\.1:9 cannot be reached"):
        nnexp.train(overrides)


# overrides

PLAIN = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1
)  # fmt: skip


@given(st.lists(st.recursive(PLAIN, lambda each: st.lists(each, max_size=3)), max_size=3))
def test_hydra_reads_what_a_mapping_says(value: list[Any]) -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    (line,) = overrides_of([{"key": value}])
    (override,) = OverridesParser.create().parse_overrides([line])
    assert unquoted(override.value()) == value


def unquoted(value: Any) -> Any:
    from hydra.core.override_parser.types import QuotedString

    if isinstance(value, list):
        return [unquoted(each) for each in value]
    return value.text if isinstance(value, QuotedString) else value


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"optimizer": "sgd,adam"}, "optimizer=sgd,adam"),
        ({"optimizer": ("sgd", "adam")}, "optimizer=sgd,adam"),
        ({"seed": range(3)}, "seed=range(0,3,1)"),
        ({"seed": range(1, 9, 2)}, "seed=range(1,9,2)"),
        ({"architecture.hidden": [8, 4]}, "architecture.hidden=[8,4]"),
        ({"architecture.hidden": ([8], [8, 4])}, "architecture.hidden=[8],[8,4]"),
        ({"optimizer.lr": (0.1, 1e-05)}, "optimizer.lr=0.1,1e-05"),
        ({"executor.max_consecutive_failures": None}, "executor.max_consecutive_failures=null"),
        ({"optimizer.nesterov": True}, "optimizer.nesterov=true"),
        ({"sweep.only_if": {"optimizer.beta1": "optimizer == 'adam'"}},
         r"sweep.only_if={optimizer.beta1:'optimizer == \'adam\''}"),
        ({"dataset.file": ["a\\", "it's"]}, r"dataset.file=['a\\','it\'s']"),
    ],
)  # fmt: skip
def test_a_mapping_is_written_as_on_the_command_line(given: dict[str, Any], expected: str) -> None:
    assert overrides_of([given, "a=b"]) == [expected, "a=b"]


def test_numbers_of_numpy_are_numbers() -> None:
    import numpy as np

    assert overrides_of([{"a": np.float64(0.1), "b": np.int64(3), "c": (np.float32(0.5),)}]) == [
        "a=0.1",
        "b=3",
        "c=0.5",
    ]


@pytest.mark.parametrize("given", [3, {"seed": ()}, {"seed": object()}, {"seed": {1, 2}}, {"seed": [b"x"]}])
def test_what_is_no_override_is_an_error(given: Any) -> None:
    with pytest.raises(UsageError):
        nnexp.compose(given)


# beside others


def test_importing_nnexp_imports_little() -> None:
    heavy = "'hydra', 'mlflow', 'numpy', 'pandas', 'pydantic'"
    source = f"import nnexp, sys; print([name for name in ({heavy}) if name in sys.modules], dir(nnexp))"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout.startswith("[] ")
    assert all(f"'{name}'" in done.stdout for name in ("compose", "register", "sweep", "train"))


def test_nothing_of_hydra_is_left_behind() -> None:
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.hydra_config import HydraConfig
    from hydra.core.utils import JobRuntime
    from omegaconf import OmegaConf

    def state() -> Any:
        resolvers = [OmegaConf.has_resolver(name) for name in ("now", "hydra", "python_version")]
        return (
            HydraConfig.instance().cfg,
            dict(JobRuntime.instance().conf),
            resolvers,
            os.environ.get("HYDRA_FULL_ERROR"),
        )

    before = state()
    for _ in range(2):
        nnexp.compose("optimizer=adam")
        nnexp.sweep("dataset=moons", "seed=0,1", "sweep.dry_run=true", "screen.mode=quiet")
        with pytest.raises(ConfigError):
            nnexp.compose("optimizer=adan")
        assert state() == before
        assert not GlobalHydra.instance().is_initialized()


APPLICATION = """
import hydra
from hydra.core.hydra_config import HydraConfig
import nnexp

@hydra.main(version_base="1.3", config_path=None, config_name=None)
def main(config):
    before = HydraConfig.get()
    found = nnexp.sweep({"dataset": "moons", "seed": range(2)}, "sweep.dry_run=true", "screen.mode=quiet")
    try:
        nnexp.compose("optimizer=adan")
    except nnexp.errors.ConfigError as error:
        print(error)
    assert HydraConfig.get() is before
    print(len(found.trials), HydraConfig.get().job.name, config.mine, config.which)

main()
"""


def test_it_works_inside_of_a_hydra_application(tmp_path: Path) -> None:
    (tmp_path / "application.py").write_text(APPLICATION)
    arguments = [sys.executable, "application.py", "+mine=3", "+which=${hydra:job.name}", "hydra.run.dir=."]
    done = subprocess.run(arguments, cwd=tmp_path, env=surroundings(), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    *_, error, last = done.stdout.splitlines()
    assert error.startswith("optimizer 'adan' is not one of: ")
    assert last == "2 application 3 application"


def test_it_works_in_threads(root: Path) -> None:
    def composed(seed: int) -> int:
        return nnexp.compose({"seed": seed, "optimizer": "adam"}).trial.seed

    with ThreadPoolExecutor(4) as pool:
        training = pool.submit(nnexp.train, *SINGLE, f"paths.root={root}", "screen.mode=quiet")
        assert list(pool.map(composed, range(8))) == list(range(8))
        assert training.result(300).state == "finished"


# ended early


def when_training(root: Path, act: Callable[[], object]) -> threading.Thread:
    """Do something once a sweep has saved records."""

    def wait() -> None:
        until = time.monotonic() + 120
        while time.monotonic() < until:
            with suppress(NnexpError), closing(Ledger(root / "ledger.db")) as ledger:
                if any(each.epoch for sweep in ledger.sweeps() for each in ledger.standing(sweep.id).values()):
                    break
            time.sleep(0.05)
        act()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


LONG = ("dataset=moons", "architecture.hidden=[4]", "training.epochs=100000", "executor.workers=1", "screen.mode=plain")


@pytest.mark.parametrize(("number", "cause"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")])
def test_a_signal_ends_a_sweep_which_says_so(
    root: Path, number: signal.Signals, cause: str, capsys: pytest.CaptureFixture[str]
) -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        thread = when_training(root, lambda: os.kill(os.getpid(), number))
        found = nnexp.sweep(*LONG, {"seed": range(2)}, f"paths.root={root}")
        thread.join()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert found.halt is not None
    assert found.halt.cause == cause
    assert found.states == {"stopped": 2}
    assert set(found.trials["note"]) == {found.halt.text}
    assert 0 < len(found.histories) < 200_000
    assert heard == ([signal.SIGTERM] if cause == "terminated" else []), "it was the program's"
    assert "nnexp.sweep('dataset=moons', 'architecture.hidden=[4]', " in capsys.readouterr().out


def test_a_limit_ends_a_training_which_says_so(root: Path) -> None:
    found = nnexp.train(*LONG, "executor.sweep_seconds=1.5", f"paths.root={root}")
    assert found.halt is not None
    assert found.halt.cause == "sweep_seconds"
    assert found.state == "stopped"
    assert found.reason
    assert found.summary == {}
    assert found.weights == {}


# documentation


@pytest.mark.parametrize("page", ["docs/python.md", "README.md"])
def test_the_code_of_the_documentation_runs(
    page: str, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(root.parent)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    text = (PROJECT / page).read_text()
    if page == "README.md":
        text = text[text.index("## From Python") : text.index("## More")]
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert blocks
    session: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, page, "exec"), session)
    assert session["result"].states == {"finished": 6}
    if page == "docs/python.md":
        assert "optimizer 'adan' is not one of: " in capsys.readouterr().out
        assert session["trained"].state == "finished"


def test_an_interactive_session_needs_no_guard(root: Path) -> None:
    lines = [
        "import nnexp",
        f"options = {{'seed': range(2), 'training.epochs': 3, 'paths.root': {str(root)!r}}}",
        "result = nnexp.sweep('dataset=moons', options)",
        "result",
        "len(result.histories)",
    ]
    done = subprocess.run(
        [sys.executable, "-i", "-q"],
        input="\n".join(lines) + "\n",
        cwd=root.parent,
        env=surroundings(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    *_, result, count = done.stdout.splitlines()
    assert re.fullmatch(r"<sweep adhoc-[0-9a-f]{8}: 2 finished; best: trial>", result)
    assert count == "6"
