"""A case: one fault at one seeded instant, what is done about it, and what the checker says."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from faultmatrix import ledger
from faultmatrix.bench import Bench, until_planned
from faultmatrix.checker import Control, Findings, Place, check
from faultmatrix.command import HANGS, REPOSITORY, Command, Ended, start
from faultmatrix.witness import Seen
from faultmatrix.witness import read as read_witness
from faultmatrix.workload import Workload

TRIES = 4  # of an instant that came after the end


@dataclass
class Case:
    """What a row does with a seed. injections: how many faults really happened. figures: what is worth reporting."""

    bench: Bench
    row: int
    seed: int
    folder: Path
    workload: Workload
    random: Random
    settings: tuple[str, ...] = ()  # more of the command line, as where it tracks
    variables: dict[str, str] = field(default_factory=dict)
    place: Place | None = None
    tree: Path = REPOSITORY
    injections: int = 0
    problems: list[str] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    interrupted: list[float] = field(default_factory=list)
    before: ledger.Ledger | None = None
    again_at: float = 0.0
    note: str = ""  # what a problem should name beside the seed
    _commands: list[Command] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        self.renew()

    @property
    def root(self) -> Path:
        """What nnexp writes to."""
        return self.folder / "runs"

    @property
    def told(self) -> Path:
        """What the witness writes to."""
        return self.folder / "witness"

    @property
    def control(self) -> Control:
        """The undisturbed sweep."""
        return self.bench.control(self.workload)

    @property
    def where(self) -> Place:
        """Where the sweep is recorded."""
        return self.place or Place(self.root, self.workload.name, self.root / "mlflow.db")

    @property
    def seen(self) -> list[Seen]:
        """The epochs that were trained so far."""
        return read_witness(self.told, self.control.known)

    def renew(self) -> None:
        """Begin with nothing but an empty store."""
        shutil.rmtree(self.root, ignore_errors=True)
        self.told.unlink(missing_ok=True)
        self.interrupted.clear()
        self.bench.copy_store(self.root / "mlflow.db")

    def start(
        self, *more: str, under: Sequence[str] = (), at_terminal: bool = False, workload: Workload | None = None
    ) -> Command:
        """Start the sweep's command."""
        arguments = (workload or self.workload).arguments(str(self.root))
        return self.begin("nnexp.run", *arguments, *self.settings, *more, under=under, at_terminal=at_terminal)

    def begin(self, module: str, *arguments: str, under: Sequence[str] = (), at_terminal: bool = False) -> Command:
        """Start any command."""
        command = start(
            arguments,
            self.folder / f"output-{len(self._commands)}",
            variables=self.bench.variables(self.told) | self.variables,
            tree=self.tree,
            under=under,
            module=module,
            at_terminal=at_terminal,
        )
        self._commands.append(command)
        return command

    def instant(self) -> float:
        """Return a random number of seconds after the first row in the ledger."""
        return self.random.random() * self.control.seconds

    def strike(self, command: Command, after: float, blow: Callable[[Command], None]) -> bool:
        """Let something happen to a command so many seconds after it has planned; return whether it came in time."""
        if until_planned(self.root, command.process) is None:
            return False
        until = time.monotonic() + after
        while time.monotonic() < until:
            if command.over:
                return False
            time.sleep(0.01)
        if command.over:
            return False
        blow(command)
        self.struck()
        return True

    def struck(self) -> None:
        """Note that a fault has happened, now."""
        self.interrupted.append(time.time())
        self.injections += 1

    def interrupt(self, blow: Callable[[Command], None], *more: str, at_terminal: bool = False) -> Ended:
        """Start the sweep and let something happen to it at a random instant; earlier, if that is after its end."""
        after = self.instant()
        for _ in range(TRIES):
            command = self.start(*more, at_terminal=at_terminal)
            came = self.strike(command, after, blow)
            ended = self.end(command)
            if came:
                return ended
            self.renew()
            after *= 0.6
        self.problem("no fault happened before the end of the sweep")
        return ended

    def end(self, command: Command, seconds: float = HANGS) -> Ended:
        """Wait for a command to end by itself."""
        ended = command.wait(seconds)
        if ended.hung:
            self.problem(f"a command did not end in {seconds:.0f} s")
        if "Traceback (most recent call last)" in ended.text:
            self.problem(f"a command printed a traceback: {ended.last_line}")
        return ended

    def expect(self, ended: Ended, *codes: int, says: str = "") -> None:
        """Compare how a command ended with how it should have."""
        if ended.code not in codes:
            self.problem(f"exit code {ended.code} in place of {' or '.join(map(str, codes))}: {ended.last_line}")
        if says and says not in ended.text:
            self.problem(f"no word of {says!r}: {ended.last_line}")

    def again(self, *more: str, code: int = 0) -> Ended:
        """Give the same command again, and expect it to come to its end."""
        self.before, self.again_at = self.look(), time.time()
        ended = self.end(self.start(*more))
        self.expect(ended, code)
        spent = [each.time for each in self.seen if each.time > self.again_at]
        self.figures["t_recover"] = ended.seconds - (max(spent) - min(spent) if spent else 0.0)
        return ended

    def look(self) -> ledger.Ledger | None:
        """Return the ledger as it is; None if it cannot be read."""
        try:
            return ledger.read(self.root / "ledger.db")
        except Exception:  # a damaged file may raise anything
            return None

    def check(self, *, patience: float = 6.0, witnessed: bool = True) -> Findings:
        """Let the checker look, and keep what it says. witnessed: at the epochs that were trained, too."""
        findings = check(
            self.where,
            self.control,
            before=self.before,
            again_at=self.again_at,
            seen=self.seen if witnessed else (),
            interrupted=self.interrupted,
            patience=patience,
        )
        self.problems += findings.problems
        self.figures["wasted_epochs"] = findings.wasted_epochs
        return findings

    def problem(self, text: str) -> None:
        """Note something that is wrong."""
        self.problems.append(text)

    def figure(self, values: Mapping[str, float]) -> None:
        """Note figures; the largest of a name stays."""
        for name, value in values.items():
            self.figures[name] = max(value, self.figures.get(name, value))

    def close(self) -> None:
        """End every process of the case."""
        for command in self._commands:
            command.end()


def kill(command: Command) -> None:
    """Kill a command and all that it started."""
    command.send_group(signal.SIGKILL)
