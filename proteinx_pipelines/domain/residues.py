"""The twenty standard residues."""

AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"
"""One-letter codes, in alphabetical order."""
