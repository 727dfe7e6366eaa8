"""Tracking: the only place that imports mlflow."""
