"""The network, written in NumPy: components chosen by name from tables, and the stacked pass that trains them."""
