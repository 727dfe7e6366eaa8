"""`python -m nnexp.sweeps` and `nnexp-sweeps`: what sweeps there are, what they did, and how to delete them."""

from __future__ import annotations

from nnexp.housekeeping import main

if __name__ == "__main__":
    main()
