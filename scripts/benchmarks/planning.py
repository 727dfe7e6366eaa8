"""What planning a sweep takes: wall seconds of each stage, and the most memory that the process held."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from nnexp.training.costs import peak_bytes

# Of the same number of trials: few configurations with many seeds, or all of them different.
SWEPT = {
    "repeats": ("optimizer.lr=range(1,5)", "seed=range({})"),
    "configurations": ("optimizer.lr=range(1,{})", "seed=range(4)"),
}
SHARED = (
    *("optimizer=sgd,momentum,rmsprop,adam", "l2.strength=0,0.1", "optimizer.beta1=0.8,0.9"),
    "sweep.only_if={optimizer.beta1:\"optimizer in ['momentum', 'adam']\"}",
    'sweep.where="lr > 0 or seed == 0"',
)
CONFIGURATIONS = (1 + 2 + 1 + 2) * 2  # of optimizers, their betas and strengths


def main(trials: int, kind: str) -> None:
    """Plan so many trials and print a line."""
    stages: dict[str, float] = {}

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        stages[name] = time.perf_counter() - began

    with stage("import"):
        import sklearn.datasets  # noqa: F401  # which data need
        from hydra._internal.hydra import Hydra
        from hydra._internal.utils import create_config_search_path

        from nnexp.config.build import build_trials
        from nnexp.config.compose import Composer, conf_folder
        from nnexp.config.grid import assignments, expand
        from nnexp.hydra_plugins import register, share_config_store
        from nnexp.sweeps.plan import make_plan
    register()
    share_config_store()
    loader = Hydra.create_main_hydra2("nnexp", create_config_search_path(str(conf_folder()))).config_loader
    swept = [each.format(round(trials / CONFIGURATIONS / 4) + (kind != "repeats")) for each in SWEPT[kind]]
    with stage("compose"):
        grid = expand(Composer(loader), [*SHARED, *swept])
    with stage("validate"):
        chosen = [dict(assignments(point.chosen)) for point in grid.points]
        configs = list(zip(build_trials(point.plain for point in grid.points), chosen, strict=True))
    with stage("key"):
        plan, _ = make_plan("planning", configs, (), grid.axes, [asdict(each) for each in grid.accounts])
    with TemporaryDirectory() as folder, stage("freeze"):
        plan.freeze(Path(folder))
    told = ", ".join(f"{name} {seconds:.2f}" for name, seconds in stages.items())
    work = sum(seconds for name, seconds in stages.items() if name != "import")
    most = (peak_bytes() or 0) / 1e6
    print(
        f"{len(plan.trials):6d} trials of {len(plan.configurations):6d} configurations: {work:5.2f} s "
        f"({1000 * work / len(plan.trials):.2f} ms each; {told}), {most:.0f} MB",
        flush=True,
    )


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    main(int(sys.argv[1]), sys.argv[2])
