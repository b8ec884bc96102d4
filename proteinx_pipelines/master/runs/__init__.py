"""Runs: training code of one's own that reports to the Master as a job of kind `run`. No node executes it."""
