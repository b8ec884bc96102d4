"""The transform stage: measured rows become clean sequences and targets.

`transform` tells the story; each other file is one step of it, in this order: `mutations` (do the mutations
fit the template?), `usable` (which rows can be used?), `merging` (replicates and synonymous mutants),
`sequences`, `targets`, `derived`.
"""
