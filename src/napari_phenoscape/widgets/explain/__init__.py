"""The dock Explain."""
