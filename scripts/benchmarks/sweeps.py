"""What whole sweeps take: seconds, everything but training, memory; and the same command again."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

SEEDS = 5
RATES = 4  # optimizers
SWEEP = (
    "sweep.name=many",
    "architecture.hidden=[64]",
    "training.epochs=20",
    "training.batch_size=64",
    "optimizer=sgd,momentum,nesterov,adam",
    f"seed=range({SEEDS})",
    "sweep.confirm_above=1000000",
)


@dataclass(frozen=True)
class Ran:
    """A command that ended. own: processor seconds without its workers. peak: the most bytes it held."""

    wall: float
    own: float
    peak: int
    out: str


def command(root: Path, trials: int) -> Ran:
    """Run the sweep's command to its end, watching what it holds."""
    rates = ",".join(f"{0.2 * 0.97**number:.6g}" for number in range(trials // SEEDS // RATES))
    arguments = [sys.executable, "-m", "nnexp.run", "-m", f"paths.root={root}", *SWEEP, f"optimizer.lr={rates}"]
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(arguments, cwd=root.parent, stdout=out)
        status, peak = Path(f"/proc/{process.pid}/status"), 0
        while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            held = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
            peak = max(peak, 1024 * int(held[1])) if held else peak
            time.sleep(0.05)
        wall = time.perf_counter() - began
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        if process.wait():
            raise SystemExit(f"the sweep failed with {process.returncode}")
        out.seek(0)
        return Ran(wall, own, peak, out.read())


def stage(out: str, name: str) -> float:
    """Return the seconds that a command says a stage took."""
    found = re.search(rf"\b{name} ([\d.,]+) s", out)
    assert found, out
    return float(found[1].replace(",", ""))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trials", type=int, nargs="*", default=[100, 1000, 3000, 10000], help="multiples of 20")
    print(f"{'trials':>7}{'wall, s':>9}{'train, s':>10}{'rest, ms/trial':>16}{'own, ms/trial':>15}{'peak, MB':>10}"
          f"{'again, s':>10}{'peak, MB':>10}")  # fmt: skip
    for trials in parser.parse_args().trials:
        with tempfile.TemporaryDirectory() as name:
            root = Path(name) / "runs"
            first = command(root, trials)
            again = command(root, trials)
            assert f"{trials:,} of {trials:,} trials are in the ledger already" in again.out, again.out
        rest = first.wall - stage(first.out, "train")
        print(f"{trials:7}{first.wall:9.1f}{first.wall - rest:10.1f}{1000 * rest / trials:16.1f}"
              f"{1000 * first.own / trials:15.1f}{first.peak / 1e6:10.0f}{again.wall:10.1f}{again.peak / 1e6:10.0f}",
              flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
