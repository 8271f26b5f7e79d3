"""Collections: the table of specimens that a folder of pictures or a drawer holds."""
