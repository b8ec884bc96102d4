"""The split stage: which variants are trained on, which are tested, and why.

`assign` tells the story. One file per family of methods (`at_random`, `by_count`, `by_position`, `by_score`,
`by_file`), each of which returns an `Assignment`; a new family (by source, by cluster) is a new file and a
line in `assign.METHODS`. `check` holds what must be true of every split.
"""
