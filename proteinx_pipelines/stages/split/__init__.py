"""Split stage: assign variants to train, validation and test, with a reason for each.

`assign` is the entry point. Each family of methods is one module (`at_random`, `stratified`, `by_count`,
`by_position`, `leave_out`, `by_cluster`, `by_score`, `by_source`, `by_file`) that returns an `Assignment`;
to add a family, write a module and add a row to `assign.METHODS`. `passes` repeats and nests folds, `leakage` finds
leaked test rows, `check` verifies the invariants of every split.
"""
