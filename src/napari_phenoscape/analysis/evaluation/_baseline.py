"""Baseline: what plain colour tells, without learning."""

from __future__ import annotations

from napari_phenoscape.specimens import colour_quantiles, colour_statistics, standardised

__all__ = ["colour_quantiles", "colour_statistics", "standardised"]
