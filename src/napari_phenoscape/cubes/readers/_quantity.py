"""What numbers are, by the words of a file: radiance, per cent of reflectance."""

from __future__ import annotations

import re

RADIANCE = re.compile(r"radian|watt|steradian|\b[numμµ]?w\b|\bsr\b|sr-1", re.IGNORECASE)
PER_CENT = re.compile(r"%|per\s?cent", re.IGNORECASE)


def radiance_note(where: str, quantity: str) -> str:
    """The sentence of numbers that are not reflectance, and what they become it by."""
    return (
        f"The numbers are radiance ('{where} = {quantity[:40]}'), not reflectance: 1 is no white. "
        "Calibrate them with a white reference."
    )


def per_cent_note(where: str, quantity: str) -> str:
    """The sentence of numbers from 0 to 100."""
    return f"The numbers are per cent of reflectance ('{where} = {quantity[:40]}')."
