"""The rows of the matrix, by theme; each is a function of a case."""
