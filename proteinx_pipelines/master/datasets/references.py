"""What a message says so that any node finds the catalog of a data set: its digest, by which the node verifies it.

A node on the Master's machine takes the file from the Master's folder, any other from the store or over HTTP
(`files.fetching`).
"""

from collections.abc import Mapping
from typing import Any

from proteinx_pipelines.errors import FlagError
from proteinx_pipelines.flags.tree import ExperimentFlags


def payload_ref_of(dataset: Mapping[str, Any]) -> str:
    """The `payload_ref` of a job with this data set, a row of `datasets`."""
    return f"px://sha256/{dataset['understood']['catalog_sha256']}/catalog.db"


def refuse_other_sources(dataset: Mapping[str, Any], flags: ExperimentFlags) -> None:
    """Check that a data set has what `data.source` and `design.exclude_sources` name.

    Raises:
        FlagError: it has other sources; the message names them.
    """
    known = dataset["understood"]["sources"]
    named = {"data.source": flags.data.source, "design.exclude_sources": flags.design.exclude_sources}
    problems = []
    for flag, sources in named.items():
        if missing := [source for source in sources if source not in known]:
            asked, there = ", ".join(map(repr, missing))[:200], ", ".join(map(repr, known))[:500]
            problems.append(
                f"`{flag}` is {asked}; the data set {dataset['name']!r} has {there}. Name one of them."
            )
    if problems:
        raise FlagError(problems)
