"""Running stages in an experiment directory: keys, plans, publishing. Knows nothing of Dagster or Redis."""
