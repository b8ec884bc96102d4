"""Optional packages that read structures and alignments: the extra `structure`."""

import importlib
from typing import Any

from proteinx_pipelines.errors import MissingPackage


def needed(module: str, what: str) -> Any:
    """Import a module of the extra `structure`.

    Raises:
        MissingPackage: it is not installed; the message gives the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.split(".")[0]
        raise MissingPackage(
            f"{what} needs the package {package}, which is not installed on this machine. Install the extra: "
            "`pip install 'proteinx-infra[structure]'`, or leave `data.structure` and `data.alignment` out."
        ) from error
