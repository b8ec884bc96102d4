"""Published benchmarks run through this project's own stages, beside the published numbers.

`assays` reads a folder of assays, `protocol` runs the stages on one of them and keeps the predictions that no
model saw in training, `proteingym` and `flip_gb1` are the two protocols, `published` reads other people's
numbers, `verdict` says where ours differ and why. `leakage` asks the leakage checks about published folds. How a
table looks is `cli.bench`.
"""
