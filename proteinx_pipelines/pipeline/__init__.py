"""What a stage is, apart from how it is computed: the rows of the pipeline, what a stage leaves, and the plan.

Nothing here imports a stage, a file format or a library of numbers, so whoever only decides what has to run (a plan
on a node, a page, another machine) loads this room and the flags. How a stage is computed is in `execution.stages`.
"""
