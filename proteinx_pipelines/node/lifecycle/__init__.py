"""Life of an experiment on this node: intake, planning, dispatch, end, supervision, archive."""
