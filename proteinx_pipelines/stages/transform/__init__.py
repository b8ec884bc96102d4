"""Transform stage: turn measured rows into clean sequences and targets.

`transform` is the entry point; each other file is one step, in this order: `mutations` (check mutations against the
template), `usable` (select usable rows), `merging` (replicates and synonymous mutants), `sequences`, `targets`,
`derived`.
"""
