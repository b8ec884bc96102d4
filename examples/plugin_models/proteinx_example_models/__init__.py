"""A model, a network and a split method of one's own, as a distribution of one's own.

    pip install ./examples/plugin_models      # into the environment of the node
    proteinx models                           # lists column_mean, bayesian and narrow

Experiments then name them, with their own flags in `ext`:

    {"model.name": "column_mean", "ext": {"model": {"shrink": 2.0}}}
    {"model.name": "narrow", "ext": {"model": {"units": 8}}}
    {"split.method": "plugin:every_nth", "ext": {"split": {"n": 4}}}
"""
