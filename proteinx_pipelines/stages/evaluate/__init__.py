"""Evaluate: what the trained models are worth, beside trivial baselines, and a report that says so."""
