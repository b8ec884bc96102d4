"""The cross-validation schemes of ProteinGym, by name."""

SCHEMES = ("random", "modulo", "contiguous")
"""By chance, every fifth position, five stretches of the chain."""
