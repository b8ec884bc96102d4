"""Definitions that Dagster loads. `defs.building` builds them, and fresh ones with other resources."""

from proteinx_pipelines.defs.building import build_defs

defs = build_defs()
