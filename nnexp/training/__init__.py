"""Training: the state of a stack, the pure function that advances it, and the entry for Python users."""

from nnexp.training.entry import Result, train
from nnexp.training.settings import Objective, Training, TrialConfig

__all__ = ["Objective", "Result", "Training", "TrialConfig", "train"]
