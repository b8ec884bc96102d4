"""Names that this process can compute with, those of loaded plugins included, and the check of plugins' own flags."""

from typing import Any

from proteinx_pipelines import metrics, representations, user_models, user_splits
from proteinx_pipelines.domain.embedders import EMBEDDERS
from proteinx_pipelines.domain.known_names import KnownNames
from proteinx_pipelines.domain.models import MODELS
from proteinx_pipelines.own_flags import Problems, problems_of


def known_here() -> KnownNames:
    """Names of metrics, embedders, models and split methods, built in or of a plugin.

    Raises:
        PluginError: a plugin cannot be loaded; fix it. Names cannot be checked until then.
    """
    return KnownNames(
        metrics=metrics.names(),
        embedders=(*EMBEDDERS, *representations.names()),
        models=(*MODELS, *user_models.names()),
        split_methods=user_splits.names(),
        own_flags=own_flag_problems,
    )


def own_flag_problems(group: str, name: str, given: Any) -> Problems:
    """Problems of `ext.model` or `ext.split` for a plugin's model or split method; none for a built-in one.

    Raises:
        PluginError: the plugin cannot be imported.
    """
    if group == "model":
        model = user_models.find(name)
        return [] if model is None else problems_of(model.schema, given, f"`model.name` {name!r}")
    method = user_splits.find(name)
    return [] if method is None else problems_of(method.schema, given, f"`split.method` {name!r}")
