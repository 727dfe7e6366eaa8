"""Opens a ledger as nnexp does, cut off at each of many bytes: arguments are its file, a folder, and offsets on stdin.

Prints a line for each offset that is not taken well. This is not the checker: it uses nnexp, as its user.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from nnexp.errors import NnexpError
from nnexp.sweeps.ledger import Ledger


def main(path: Path, folder: Path) -> None:
    """Try every offset."""
    log = path.with_name(path.name + "-wal").read_bytes()
    copy = folder / path.name
    for offset in map(int, sys.stdin.read().split()):
        for end in ("-wal", "-shm"):
            copy.with_name(copy.name + end).unlink(missing_ok=True)
        shutil.copyfile(path, copy)
        copy.with_name(copy.name + "-wal").write_bytes(log[:offset])
        try:
            ledger = Ledger(copy)
            for sweep in ledger.sweeps():
                standing = ledger.standing(sweep.id)
                lengths = [ledger.history(sweep.id, key).epochs[-1:] for key in standing]
                wrong = [
                    key for key, last in zip(standing, lengths, strict=True) if (*last, 0)[0] > standing[key].epoch
                ]
                if wrong:
                    print(offset, f"records of {wrong[0]} beyond its epoch")
            ledger.close()
        except NnexpError as error:
            print(offset, error)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
