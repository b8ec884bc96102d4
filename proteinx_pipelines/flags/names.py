"""Checks the names in a flag set against known names.

The groups check the shape and need no plugin; this module checks the names where the available ones are known: a node
its own, a Master those of its nodes.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from proteinx_pipelines.domain.embedders import LANGUAGE_MODELS
from proteinx_pipelines.domain.known_names import PLUGIN_SPLIT, KnownNames, unknown_in_words
from proteinx_pipelines.errors import FlagError
from proteinx_pipelines.flags.problems import Problem, sentences, without_echoes
from proteinx_pipelines.flags.tree import ExperimentFlags

_LISTS = ("also", "metrics")
"""Flags that are lists of names, also written with commas (`flags.base.from_names`)."""


def unknown_names(tree: Mapping[str, Any], known: KnownNames) -> list[Problem]:
    """Problems of unknown names, each with the list of known ones.

    Args:
        tree: nested flags, which may have other problems; what is not a name is passed over.
        known: what can be computed with.
    """
    parts = tuple(name for name in known.embedders if name not in LANGUAGE_MODELS)
    checks = (
        ("model", "name", known.models, "unknown model {}; the models are {}"),
        ("embedding", "name", known.embedders, "unknown {}; expected one of {}"),
        ("embedding", "also", parts, "unknown {}; expected one of {}"),
        ("train", "metrics", known.metrics, "unknown metric {}; the metrics are {}"),
        ("train", "search_metric", known.metrics, "unknown metric {}; the metrics are {}"),
        ("evaluate", "metrics", known.metrics, "unknown metric {}; the metrics are {}"),
    )
    problems = []
    for group, flag, choices, text in checks:
        wanted = list(_names(tree, group, flag))
        if flag == "also":
            wanted = [name for name in wanted if name not in LANGUAGE_MODELS]  # already refused by its shape
        if unknown := unknown_in_words(wanted, choices):
            problems.append(Problem((group, flag), text.format(unknown, ", ".join(choices))))
    return [*problems, *_unknown_split(tree, known), *_own_flags(tree, known)]


def _unknown_split(tree: Mapping[str, Any], known: KnownNames) -> Iterator[Problem]:
    """Problem of a plugin's split method that is not known; the others are refused by their shape."""
    wanted = [name for name in _names(tree, "split", "method") if name.startswith(PLUGIN_SPLIT)]
    if unknown := unknown_in_words(wanted, known.split_methods):
        offered = (
            f"those of plugins are {', '.join(known.split_methods)}"
            if known.split_methods
            else "no plugin has one"
        )
        yield Problem(("split", "method"), f"unknown split method {unknown}; {offered}")


def _own_flags(tree: Mapping[str, Any], known: KnownNames) -> Iterator[Problem]:
    """Problems of `ext.model` and `ext.split`, where the model or the method is a plugin's."""
    if known.own_flags is None:
        return
    ext = tree.get("ext")
    for group, flag in (("model", "name"), ("split", "method")):
        given = ext.get(group) if isinstance(ext, Mapping) else None
        for name in _names(tree, group, flag):
            for place, text in known.own_flags(group, name, given):
                yield Problem(("ext", group, *place), text)


def with_unknown_names(
    tree: Mapping[str, Any], problems: Sequence[Problem], known: KnownNames
) -> list[Problem]:
    """Problems of shape and of unknown names together, in the order of the groups.

    Problems that follow from an unknown embedder (its number of layers is unknown) are left out.
    """
    unknown = without_echoes(unknown_names(tree, known), problems)
    name_is_unknown = any(problem.name == "embedding.name" for problem in unknown)
    kept = [problem for problem in problems if not (name_is_unknown and _speaks_of_the_embedder(problem))]
    groups = list(ExperimentFlags.model_fields)
    return sorted(
        [*kept, *unknown],
        key=lambda problem: (
            groups.index(group) if (group := str(problem.path[0] if problem.path else "")) in groups else -1
        ),
    )


def refuse_unknown_names(
    flags: ExperimentFlags, known: KnownNames, nested: Mapping[str, Any] | None = None
) -> None:
    """Check the names of a flag set.

    Args:
        flags: the flag set.
        known: what can be computed with.
        nested: its tree as plain JSON types, where the caller has it already.

    Raises:
        FlagError: names every one that is not known, and what is.
    """
    if problems := unknown_names(flags.nested() if nested is None else nested, known):
        raise FlagError(sentences(problems))


def _speaks_of_the_embedder(problem: Problem) -> bool:
    return problem.path[0] == "embedding" and problem.text.startswith("`embedding.name` is ")


def _names(tree: Mapping[str, Any], group: str, flag: str) -> Iterator[str]:
    values = tree.get(group)
    value = values.get(flag) if isinstance(values, Mapping) else None
    if isinstance(value, str) and flag in _LISTS:
        value = [name.strip() for name in value.split(",")]
    for name in value if isinstance(value, list | tuple) else (value,):
        if isinstance(name, str) and name:
            yield name
