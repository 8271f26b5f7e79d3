"""Soak: very many specimens through every step, and everything that happens to a long job."""
