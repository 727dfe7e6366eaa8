"""`python -m nnexp.run` and `nnexp-run`: train one trial, or with -m sweep."""

from __future__ import annotations

from typing import Any

from nnexp import clock  # noqa: F401  # first: it starts counting


def main() -> None:
    """Run the command line; the exit code tells how it ended."""
    from nnexp.command import run_hydra

    run_hydra(_run_single)


def _run_single(config: Any) -> None:
    from nnexp.command import exit_as
    from nnexp.job import run_single

    exit_as(run_single(config))


if __name__ == "__main__":
    main()
