"""Parallel: devices, processes and nodes."""
