"""The dock Spectrum."""
