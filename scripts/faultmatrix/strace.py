"""System calls that fail or kill, through strace; and which of them write down what has to last."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

SYNCS = ("fsync", "fdatasync")
NAMES = ("rename", "renameat", "renameat2", "unlink", "unlinkat", "mkdir", "link", "ftruncate")
CALL = re.compile(r"^(\d+) +(\w+)\((.*)$")


@dataclass(frozen=True)
class Group:
    """System calls that are counted together, by each thread for itself. paths: only those on these files, if given.

    every: how many points of a long form are skipped from one to the next.
    """

    name: str
    calls: tuple[str, ...]
    paths: tuple[str, ...] = ()
    every: int = 1

    def trace(self, root: Path) -> list[str]:
        """Return the arguments that choose them. root: the folder that all of it happens in."""
        chosen = [f"-P{root / path}" for path in self.paths]
        return [f"-etrace={','.join(self.calls)}", "-esignal=none", *chosen]


LEDGER = Group("ledger", ("pwrite64", *SYNCS), ("ledger.db", "ledger.db-wal"))
FILES = Group("files", (*SYNCS, *NAMES))
CONTENT = Group("content", ("write",), every=4)
STORE = Group("store", ("pwrite64", *SYNCS), ("mlflow.db", "mlflow.db-wal"), every=8)
GROUPS = (LEDGER, FILES, CONTENT, STORE)


def counting(group: Group, root: Path, log: Path) -> list[str]:
    """Return what runs a command and writes down each system call, with the paths of its files."""
    return ["strace", "-f", "-qq", "-y", "--seccomp-bpf", "-o", str(log), *group.trace(root)]


def killing(group: Group, root: Path, log: Path, at: int) -> list[str]:
    """Return what runs a command and kills a process as one of its threads comes to such a call for the n-th time.

    (With --seccomp-bpf, which is faster, strace 6.1 sends no signals.)
    """
    what = f"-einject={','.join(group.calls)}:signal=SIGKILL:when={at}"
    return ["strace", "-f", "-q", "-o", str(log), *group.trace(root), what]


def failing(group: Group, root: Path, log: Path, *, error: str, when: str) -> list[str]:
    """Return what runs a command and lets such calls fail."""
    what = f"-einject={','.join(group.calls)}:error={error}:when={when}"
    return ["strace", "-f", "-qq", "-y", "--seccomp-bpf", "-o", str(log), *group.trace(root), what]


def points(log: Path, root: Path) -> list[int]:
    """Return at which counts of a thread's calls something below a folder is written, in any thread."""
    counts: Counter[str] = Counter()
    found: set[int] = set()
    for thread, _, rest in _calls(log):
        counts[thread] += 1
        if str(root) in rest:
            found.add(counts[thread])
    return sorted(found)


def hits(log: Path, words: Sequence[str]) -> int:
    """Return how many lines of a log have one of some words."""
    return sum(any(word in line for word in words) for line in log.read_text(errors="replace").splitlines())


def _calls(log: Path) -> Iterator[tuple[str, str, str]]:
    for line in log.read_text(errors="replace").splitlines():
        found = CALL.match(line)
        if found:
            yield found.group(1), found.group(2), found.group(3)
