"""Benchmarks of nnexp. Run them with scripts/benchmark."""
