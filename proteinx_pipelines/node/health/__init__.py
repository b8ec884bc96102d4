"""Checks behind `proteinx doctor`."""
