"""Evaluation: how well embeddings agree with what is known, and the baselines beside them.

Every measure takes (N, D) embeddings, of which only the directions count (the contrastive loss
compares nothing else), and gives one number per specimen where it can, so that its mean has an
interval. ``groups`` names what must not be on both sides of a judgement, e.g. the individual of
which several photographs were taken.
"""
