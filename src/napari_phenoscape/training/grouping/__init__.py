"""Grouping: the ways in which embeddings are clustered and mapped; what a run keeps of them."""
