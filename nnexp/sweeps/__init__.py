"""Sweeps: the plan and its keys, stacks, workers, and the ledger that is written first."""
