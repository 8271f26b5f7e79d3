"""The docks: each reads a form into an Option, calls one verb, and hands layers to the viewer."""
