"""Names of metrics, embedders and models that this process can compute with, those of loaded plugins included."""

from proteinx_pipelines import metrics, representations
from proteinx_pipelines.domain.embedders import EMBEDDERS
from proteinx_pipelines.domain.known_names import KnownNames
from proteinx_pipelines.flags.model import MODELS


def known_here() -> KnownNames:
    """Names of metrics, embedders and models, built in or of a plugin.

    Raises:
        PluginError: a plugin cannot be loaded; fix it. Names cannot be checked until then.
    """
    return KnownNames(
        metrics=metrics.names(), embedders=(*EMBEDDERS, *representations.names()), models=MODELS
    )
