"""`scripts/faults`: runs the fault matrix and prints its table; exit code 1 if anything was violated."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from faultmatrix.bench import Bench
from faultmatrix.matrix import ROWS, as_markdown, run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="scripts/faults", description=__doc__)
    parser.add_argument("--short", action="store_true", help="each row once or a few times, on a smaller sweep")
    parser.add_argument("--row", type=int, action="append", choices=sorted(ROWS), help="only this row; repeatable")
    parser.add_argument("--seeds", type=_seeds, metavar="A-B", help="only these cases of each row")
    parser.add_argument("--jobs", type=int, default=2, help="cases at once (default: 2)")
    parser.add_argument("--table", type=Path, help="also write the table there, as Markdown")
    parser.add_argument("--folder", type=Path, help="where cases run; those with violations stay (default: a new one)")
    told = parser.parse_args(arguments)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # if it is ignored here, commands would ignore it too
    folder = (told.folder or Path(tempfile.mkdtemp(prefix="faults-"))).resolve()
    bench, began = Bench(folder, short=told.short), time.monotonic()
    try:
        tallies = run(bench, told.row or ROWS, told.seeds, jobs=told.jobs, say=lambda line: print(line, flush=True))
    finally:
        bench.close()
    table = as_markdown(tallies)
    print(f"\n{table}\nseconds: {time.monotonic() - began:.0f}", flush=True)
    if told.table is not None:
        told.table.write_text(table)
    violated = any(tally.violations for tally in tallies)
    if not violated:
        shutil.rmtree(folder, ignore_errors=True)
    return int(violated)


def _seeds(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


if __name__ == "__main__":
    sys.exit(main())
