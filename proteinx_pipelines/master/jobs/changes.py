"""Flags of a job with some of them changed, as `clone` and sweeps need them."""

from collections.abc import Mapping
from typing import Any

from proteinx_pipelines.errors import FlagError
from proteinx_pipelines.flags.nesting import expand, override
from proteinx_pipelines.flags.problems import sentences


def changed(flags: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Nested flags with changes applied; not checked any further.

    Args:
        flags: nested.
        changes: nested, dotted or mixed.

    Raises:
        FlagError: the changes contradict each other.
    """
    newer, problems = expand(changes)
    if problems:
        raise FlagError(sentences(problems))
    return override(dict(flags), newer)
