"""What became of a trial, as plain data: it comes back to the bit, and histories can be cut and joined."""

from __future__ import annotations

import json
import math

import pytest

from nnexp.sweeps.results import History, TrialResult
from tests.sweeps.ledgers import RESULT, history


def test_a_result_comes_back_from_plain_data_to_the_bit() -> None:
    assert TrialResult.of(json.loads(json.dumps(RESULT.describe()))) == RESULT


def test_a_history_comes_back_from_plain_data_to_the_bit() -> None:
    values = (5e-324, 1.7976931348623157e308, 0.1 + 0.2, -0.0, math.inf)
    whole = History((1, 2, 4, 5, 7), (1795321497.678123,) * 5, {"val/loss": values, "val/acc": values[::-1]})
    found = History.of(json.loads(json.dumps(whole.describe())))
    assert found == whole
    assert repr(found) == repr(whole), "the sign of zero"


def test_a_nan_of_a_history_comes_back() -> None:
    found = History.of(json.loads(json.dumps(History((1,), (0.0,), {"a": (math.nan,)}).describe())))
    assert math.isnan(found.values["a"][0])


@pytest.mark.parametrize("epoch", range(6))
def test_a_history_cut_at_any_epoch_joins_to_itself(epoch: int) -> None:
    whole = history(1, 5)
    assert whole.until(epoch) + whole.after(epoch) == whole
    assert whole.until(epoch).epochs == tuple(range(1, epoch + 1))
    assert whole.after(epoch).times == whole.times[epoch:]


def test_a_history_is_cut_by_epochs_not_by_places() -> None:
    sparse = History((2, 4, 6), (0.0, 1.0, 2.0), {"a": (0.2, 0.4, 0.6)})
    assert sparse.until(5) == History((2, 4), (0.0, 1.0), {"a": (0.2, 0.4)})
    assert sparse.after(3) == History((4, 6), (1.0, 2.0), {"a": (0.4, 0.6)})


def test_nothing_joins_to_anything() -> None:
    assert History() + history(1, 3) == history(1, 3) + History() == history(1, 3)


def test_a_metric_that_one_part_lacks_is_nan_there() -> None:
    joined = History((1,), (0.0,), {"a": (1.0,)}) + History((2,), (1.0,), {"b": (2.0,)})
    assert repr(joined.values) == repr({"a": (1.0, math.nan), "b": (math.nan, 2.0)})
