"""Readers: one for each format, found by what is in the file."""
