"""nnexp: exact, stacked, tracked sweeps of neural networks written in NumPy."""

__version__ = "0.1.0"
