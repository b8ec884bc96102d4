"""Ended experiments told to trackers: MLflow, Weights & Biases, TensorBoard.

    an experiment ends -> waiting: its small files linked below `tracking/` -> a process of its own sends -> gone

Nothing of it happens while an experiment runs, and no result waits for it: a tracker that is away, slow or hanging
costs its own process time, and is tried again later.
"""
