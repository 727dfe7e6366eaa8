"""The version of nnexp's arithmetic: part of every trial's key."""

# Raised whenever a change alters any number that a trial produces; the changelog says why.
NUMERICS_VERSION = 2
