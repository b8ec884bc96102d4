"""The one partition set: an experiment is a partition of every asset."""

import dagster as dg

experiment_partitions = dg.DynamicPartitionsDefinition(name="experiment_id")
