"""Names of the built-in models, and the facts that follow from a name alone.

`model.name` takes them. `stages.train` implements them; plugins add theirs in `user_models`. Imports nothing, since
messages are also checked where nothing else is installed.
"""

NETWORKS = ("mlp", "cnn", "light_attention", "finetune")
"""Models trained in epochs."""
MODELS = ("ridge", "ridge_cv", "gp", "boosting", "forest", "auto", *NETWORKS)
"""Built-in values of `model.name`; plugins add theirs."""
