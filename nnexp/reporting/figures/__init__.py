"""Figures drawn for reading: pure functions of arrays and labels, one idea each, that know nothing of a study."""
