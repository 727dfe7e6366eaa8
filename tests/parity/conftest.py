"""The live comparison is collected where PyTorch is installed, as `scripts/parity` does."""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore = [] if find_spec("torch") else ["live"]
