"""Evaluate stage: scores of the trained models beside trivial baselines, and the report."""
