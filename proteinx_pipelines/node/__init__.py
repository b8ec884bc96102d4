"""The node on four floors: `lifecycle` of an experiment, `talking` to others, `processes`, and `health`."""
