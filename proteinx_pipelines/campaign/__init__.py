"""Campaigns on measured landscapes: rounds of choosing and measuring, simulated, with baselines and luck."""

CAMPAIGN_VERSION = "2"
"""Raise it when the same landscape, rule, protocol and seed give another campaign; stored ones are then run again."""
