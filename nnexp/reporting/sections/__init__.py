"""Sections of a report: each turns a study into blocks of text, tables and figures."""
