"""Places: what lies where on a map of the specimens, and in which order they lie on a sheet."""
