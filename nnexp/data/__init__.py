"""The data: where they come from, how they are split and standardised, and the digest of what was used."""
