"""The Dagster face of the node: assets, checks, IO manager, job, sensor, executor, launcher."""
