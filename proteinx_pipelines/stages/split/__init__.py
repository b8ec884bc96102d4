"""The split stage: which variants are trained on, which are tested, and why.

`assign` tells the story. One file per family of methods (`at_random`, `stratified`, `by_count`, `by_position`,
`by_cluster`, `by_score`, `by_source`, `by_file`), each of which returns an `Assignment`; a new family is a new
file and a line in `assign.METHODS`. `passes` repeats and nests them, `leakage` finds what must not be trained on,
`check` holds what must be true of every split.
"""
