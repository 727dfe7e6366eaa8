"""Opening a sweep: its plan in the ledger, what was damaged mended, what others trained taken over, reruns planned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from filelock import FileLock

from nnexp.config.sweep import Sweep
from nnexp.errors import UsageError
from nnexp.invocation import Invocation
from nnexp.screen import Screen
from nnexp.sweeps.database import DamageError
from nnexp.sweeps.files import read_beginning, trial_folder, write_beginning
from nnexp.sweeps.holding import is_held
from nnexp.sweeps.ledger import Ledger
from nnexp.sweeps.plan import Plan, code_digest
from nnexp.sweeps.reuse import are_whole, changes, reuse
from nnexp.sweeps.salvage import salvage
from nnexp.tracking.store import Store, told, without_credentials

LOCK_SECONDS = 60.0
ADHOC = "adhoc"  # the name of sweeps without one: what their plans have in common is nobody's intention


class OpenSweep:
    """A sweep of the ledger that this process holds.

    Attributes: ledger: open. code: digest of nnexp's own code. reused: trials taken over from other sweeps now.
    """

    def __init__(
        self, plan: Plan, settings: Sweep, store: Store, screen: Screen, invocation: Invocation, *, single: bool
    ) -> None:
        self.plan, self.settings, self.store, self.screen, self.single = plan, settings, store, screen, single
        self.invocation = invocation
        self.folder, self.code = store.root / "sweeps" / plan.id, code_digest()
        self._new, self.reused = True, 0
        self.ledger = self._opened()
        try:
            plan.freeze(self.folder)
            self._tell_changes()
            again = self._plan_again()
            self._make_damaged_again()
            self._reuse(again)
        except BaseException:
            self.ledger.close()
            raise

    def finish_rerun(self) -> None:
        """Note that what was to be trained again has been: the next command with it begins anew."""
        if self.settings.rerun:
            self.ledger.set_settings(self.plan.id, self._described())

    def _opened(self) -> Ledger:
        """Return the ledger with the plan in it; what is damaged is said and mended."""
        path = self.store.root / "ledger.db"
        with FileLock(path.with_suffix(".lock"), timeout=LOCK_SECONDS):
            try:
                return self._added(path)
            except DamageError as error:
                self._refuse_if_others_work(error)
                self.screen.note(f"{error}: {salvage(path)}")
                return self._added(path)

    def _added(self, path: Path) -> Ledger:
        ledger = Ledger(path)
        try:
            before = next((each for each in ledger.sweeps() if each.id == self.plan.id), None)
            self._new = before is None and self.plan.id not in ledger.damaged_sweeps()
            more = {} if before is None else {"rerun": before.settings.get("rerun")}
            began = read_beginning(self.folder)
            if self._new and began is not None:
                self.screen.note(
                    f"the ledger has lost sweep {self.plan.id}, whose folder is there: its trials are made again, "
                    "its runs in MLflow are gone on with"
                )
            for line in ledger.add(self.plan, self.code, self._described() | more, began):
                self.screen.note(f"{line}; it is trained or delivered again")
            planned = ledger.sweep(self.plan.id)
            if planned is not None:
                write_beginning(self.folder, planned)
        except BaseException:
            ledger.close()
            raise
        return ledger

    def _described(self) -> dict[str, Any]:
        return {
            "store": without_credentials(self.store.uri),
            "experiment": self.store.experiment,
            "single": self.single,
            "argv": [told(each) for each in self.invocation.argv],
            "rerun": None,
        }

    def _refuse_if_others_work(self, error: Exception) -> None:
        for folder in (self.store.root / "sweeps").iterdir():
            if folder != self.folder and is_held(folder):
                raise UsageError(f"{error}; it can be mended when {folder.name} is no longer being worked on")

    def _tell_changes(self) -> None:
        """Say how a new plan differs from the last one of its name."""
        earlier = [each for each in self.ledger.sweeps() if each.name == self.plan.name and each.id != self.plan.id]
        if self._new and earlier and self.plan.name != ADHOC:
            for line in changes(self.ledger, self.plan, earlier[-1]).lines():
                self.screen.note(line)

    def _plan_again(self) -> set[str]:
        """Let trials be trained again that are told to be; return the keys of those that no other sweep may replace.

        The same command after an interruption goes on with that: it does not begin anew.
        """
        told = self.settings.rerun
        if not told:
            return set()
        standing = self.ledger.standing(self.plan.id)
        if told == "failed":
            keys = {key for key, each in standing.items() if each.state == "failed"}
        elif told == "all":
            keys = set(standing)
        else:
            keys = {key for begins in self.settings.rerun_keys for key in self._keys_with(begins)}
        wanted = [told] if isinstance(told, str) else list(told)
        sweep = self.ledger.sweep(self.plan.id)
        if sweep is not None and sweep.settings.get("rerun") != wanted:
            ended = [key for key in keys if standing[key].ended]
            self.ledger.plan_again(self.plan.id, ended, self._described() | {"rerun": wanted})
        return keys

    def _make_damaged_again(self) -> None:
        """Let trials be trained again whose files are not as they were."""
        standing, damaged = self.ledger.standing(self.plan.id), []
        for trial in self.plan.trials:
            each = standing[trial.key]
            if each.state not in ("finished", "diverged") or each.result is None:
                continue
            if not are_whole(trial_folder(self.folder, trial.key), each.result.files):
                self.screen.note(f"files of trial {trial.label} ({trial.key[:8]}) are damaged or missing: made again")
                damaged.append(trial.key)
        sweep = self.ledger.sweep(self.plan.id)
        if damaged and sweep is not None:
            self.ledger.plan_again(self.plan.id, damaged, sweep.settings)

    def _keys_with(self, begins: str) -> list[str]:
        found = [trial.key for trial in self.plan.trials if trial.key.startswith(begins)]
        if not found:
            raise UsageError(f"sweep.rerun: no trial of sweep {self.plan.id} has a key that begins with {begins}")
        return found

    def _reuse(self, excluded: set[str]) -> None:
        """Take over what an earlier sweep of the ledger has trained."""
        standing = self.ledger.standing(self.plan.id)
        keys = [key for key, each in standing.items() if each.state == "planned" and key not in excluded]
        if not keys or len(self.ledger.sweeps()) < 2:
            return
        found = reuse(self.ledger, self.plan, keys, self.store.root / "sweeps")
        self.reused = len(found.origins)
