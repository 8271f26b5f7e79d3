"""Registration: which pixels of two photographs show the same place of a specimen."""
