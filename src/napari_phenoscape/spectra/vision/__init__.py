"""Vision: what an eye catches of a cube, and true colour for ours."""
