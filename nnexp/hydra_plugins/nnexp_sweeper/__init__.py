"""The plugin that Hydra discovers."""
