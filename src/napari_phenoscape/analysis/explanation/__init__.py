"""Explanation: why a cluster is a cluster.

Its specimens' spectra and the bands that set them apart are plain facts of the photographs; what
is lost when bands are hidden is what the net looks at. Neither proves a cause.
"""
