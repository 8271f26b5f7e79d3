"""Paper: what all figures are measured and written in."""

from __future__ import annotations

#: Millimetres are what journals ask for; matplotlib counts inches.
MM = 1 / 25.4

#: The colours of words, and of axes.
INK, FAINT = "#222222", "#707070"
