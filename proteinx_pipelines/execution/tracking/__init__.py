"""Trackers that receive ended experiments: MLflow, Weights & Biases, TensorBoard.

    an experiment ends -> waiting: its small files linked below `tracking/` -> a process of its own sends -> gone

No experiment and no result waits for a tracker. One that is away, slow or hanging delays only the process that sends,
and is tried again later.
"""
