"""What Dagster loads. `defs.building` builds it, afresh for whoever wants other resources."""

from proteinx_pipelines.defs.building import build_defs

defs = build_defs()
