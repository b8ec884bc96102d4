"""Kills an unresponsive stage after 4 s instead of 10, to shorten a test; a responsive one needs 1 s."""

from proteinx_pipelines.node.lifecycle import stopper

stopper.GRACE_S = 4.0
