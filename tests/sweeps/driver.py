"""A command that executes what is missing of a sweep, for tests that send it signals: `python -m tests.sweeps.driver`.

Arguments: the sweep's root, the name of its trials, settings of the executor as JSON. It prints a line for every slice
and for all that it is told, and exits as nnexp's commands do.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from nnexp.data.sources import Blobs
from nnexp.errors import NnexpError
from nnexp.network.architecture import MLP
from nnexp.network.optimizers import SGD, Adam
from nnexp.sweeps import execution, stacks
from nnexp.sweeps.progress import Progress
from nnexp.testing.trials import small
from nnexp.training import Training, TrialConfig
from tests.sweeps.executed import Sweep, Told
from tests.sweeps.poison import Poison

EXIT_CODES = {"interrupted": 130, "terminated": 143}

TRIALS: dict[str, Sequence[TrialConfig]] = {
    # a second or two on two cores
    "short": [
        small(seed=seed, training=Training(epochs=epochs, batch_size=batch), **settings)
        for settings, epochs, batch in (
            ({"optimizer": Adam(lr=0.01)}, 500, 16),
            ({"optimizer": SGD(lr=0.3)}, 500, 16),
            ({"optimizer": SGD(lr=1e30)}, 500, 16),
            ({"dataset": Blobs(examples=60, split_seed="trial"), "architecture": MLP(hidden=(6,))}, 300, 8),
            ({"dataset": Blobs(examples=60, split_seed="trial"), "architecture": MLP(hidden=(6,))}, 600, 32),
        )
        for seed in range(2)
    ],
    # a slice that does not end, beside others
    "hanging": [
        small(training=Training(epochs=10**7, batch_size=16)),
        small(training=Training(epochs=10**7, batch_size=8), schedule=Poison(kind="hang", epoch=1)),
    ],
}


def say(line: str) -> None:
    print(line, flush=True)


class Said(Told):
    """A watcher that prints."""

    def show(self, progress: Progress) -> None:
        say(f"slice {progress.epochs}")

    def note(self, text: str) -> None:
        say(f"note {text}")


def main() -> int:
    root, name, settings = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
    stacks.SLICE_SECONDS = execution.SAVE_SECONDS = 0.02  # many slices, each saved
    said = Said()
    try:
        halt, _ = Sweep(TRIALS[name], root).execute(told=said, **settings)
    except NnexpError as error:
        say(f"error {error}")
        return error.exit_code
    if halt is None:
        return 1 if said.failures else 0
    say(f"halt {halt.text}")
    return EXIT_CODES.get(halt.cause, 1)


def command() -> None:
    """Run as a command does, which takes a Ctrl-C that comes when all has ended already as one."""
    try:
        code = main()
    except KeyboardInterrupt:
        code = 130
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(code)


if __name__ == "__main__":
    command()
