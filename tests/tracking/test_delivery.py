"""Delivery: what the ledger has gets into MLflow once, however often and by whichever way it is delivered."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnexp.tracking.delivery import Delivery, Drained
from tests.tracking.pretended import Database, Pretended, assert_delivered, pretend


@pytest.fixture
def sweep(root: Path) -> Pretended:
    """Return a planned sweep of two configurations with two repeats each."""
    return pretend(root, f"sqlite:///{root / 'mlflow.db'}")


@pytest.fixture
def database(root: Path) -> Database:
    """Return MLflow's database."""
    return Database(root / "mlflow.db")


def deliver(sweep: Pretended, *, every: float = 0.05, patience: float = 120.0) -> Drained:
    """Deliver what is due, as a command does that has trained all."""
    delivery = Delivery(sweep.ledger.path, sweep.plan.id, sweep.store, every)
    delivery.start()
    return delivery.drain(patience)


def test_a_whole_sweep_gets_there_once(sweep: Pretended, database: Database) -> None:
    sweep.whole()
    drained = deliver(sweep)
    assert (drained.pending, drained.error, drained.count, drained.notes) == (0, None, 4, ())
    assert_delivered(sweep, database, 3)
    before = database.dump()
    assert deliver(sweep).count == 0
    assert database.dump() == before
