"""Design stage: a library of variants, model predictions for them, and a batch to make next."""

DESIGN_VERSION = "7"
"""Raise it when the same records and flags give another model, other predictions or other proposals."""
