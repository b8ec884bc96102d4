"""Checks made by `proteinx doctor`."""
