"""Configuration: composed by Hydra, turned into plain data, checked into typed objects."""
