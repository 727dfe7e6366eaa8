"""What holds for every component, for tests of one's own: `check_component(MyOptimizer)`, and each contract alone.

Nothing else of nnexp imports this, and it needs no test runner: a contract that does not hold raises AssertionError.
"""

from nnexp.testing.checks import check_component, placed
from nnexp.testing.contracts import (
    assert_alone,
    assert_dtype_kept,
    assert_finite_loss,
    assert_gradient,
    assert_live,
    assert_partition,
    assert_rejected,
    assert_slices,
    assert_textbook,
)
from nnexp.testing.trials import regression, small
from nnexp.testing.variations import acting, broken, other, others

__all__ = [
    "acting",
    "assert_alone",
    "assert_dtype_kept",
    "assert_finite_loss",
    "assert_gradient",
    "assert_live",
    "assert_partition",
    "assert_rejected",
    "assert_slices",
    "assert_textbook",
    "broken",
    "check_component",
    "other",
    "others",
    "placed",
    "regression",
    "small",
]
