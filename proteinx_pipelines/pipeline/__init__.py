"""Definition of the stages, apart from their computation: the pipeline's rows, the stages' outputs, and the plan.

Nothing here imports a stage, a file format or a numerical library, so code that only decides which stages run (a plan
on a node, a page, another machine) loads this package and the flags. `execution.stages` computes the stages.
"""
