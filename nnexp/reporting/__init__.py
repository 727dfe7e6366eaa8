"""Reporting: what a sweep says."""
