"""Published benchmarks, run through this project's stages and compared with the published numbers.

`assays` reads a folder of assays, `protocol` runs the stages on one of them and keeps the out-of-fold predictions,
`proteingym`, `flip_gb1` and `indels` are the protocols, `published` reads published values, `verdict` compares and
explains differences. `leakage` runs the leakage checks on published folds. `cli.bench` formats the tables.
"""
