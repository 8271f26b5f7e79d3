"""Crops: every specimen as a square of reflectance, in memory or on disk."""
