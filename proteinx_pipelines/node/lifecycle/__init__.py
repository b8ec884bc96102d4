"""The life of an experiment on this node: taken in, planned, dispatched, ended, watched, put away."""
