"""The fault matrix: a real sweep, disturbed in every way, against an undisturbed one; checked without nnexp's code."""
