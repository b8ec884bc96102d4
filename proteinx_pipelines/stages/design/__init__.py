"""The design stage: a library of variants, what the model says of them, and which to make next."""

DESIGN_VERSION = "1"
"""Raise it when the same records and flags give another model, other predictions or other proposals."""
