"""Pure conversions to napari's LayerData tuples: cubes, views, maps."""
