"""`python -m nnexp.run` and `nnexp-run`: train one trial, or with -m sweep."""

from __future__ import annotations

from nnexp import clock  # noqa: F401  # first: it starts counting


def main() -> None:
    """Run the command line; the exit code tells how it ended."""
    from nnexp.command import run_hydra
    from nnexp.job import run_single

    run_hydra(run_single)


if __name__ == "__main__":
    main()
