"""Make `tests/goldens/pytorch.json`: what PyTorch gives for the cases of `tests.parity.cases`.

    bash scripts/parity --make

To be run again when a case is added or changed.
"""

from __future__ import annotations

import json
from typing import Any

import torch

from tests.parity.cases import CASES
from tests.parity.draws import DRAWS, GAINS, facts
from tests.parity.goldens import FILE
from tests.parity.pytorch import gain, trajectory, weights


def main() -> None:
    """Write the file, one line a case."""
    sections: dict[str, dict[str, Any]] = {
        "trajectories": {name: trajectory(case) for name, case in CASES.items()},
        "draws": {name: facts(weights(draw)) for name, draw in DRAWS.items()},
        "gains": {name: gain(wanted) for name, (_, wanted) in GAINS.items()},
    }
    lines = [
        "{",
        ' "comment": "made by tests/parity/make.py",',
        f' "torch": {json.dumps(torch.__version__.partition("+")[0])},',
    ]
    for section, content in sections.items():
        inner = ",\n".join(f"  {json.dumps(name)}: {json.dumps(found)}" for name, found in content.items())
        lines += [f' "{section}": {{', inner, " },"]
    FILE.write_text("\n".join(lines).removesuffix(",") + "\n}\n")


if __name__ == "__main__":
    main()
