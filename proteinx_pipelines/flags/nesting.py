"""Converts any spelling of a flag set to one nested tree: splits dotted names, moves `data.split` to its place.

`{"train.lr": 1}`, `{"train": {"lr": 1}}` and any mixture are the same tree. Below `ext` nothing is split:
its keys are the Master's. `data.split` is the Master's name for the `split` group; a text is its method.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from proteinx_pipelines.flags.json_text import MAX_DEPTH
from proteinx_pipelines.flags.problems import Path, Problem, shown

FREE_GROUP = "ext"
"""The group whose keys are not flags."""

Tree = dict[str, Any]
_OBJECTS = (dict, Mapping)  # `dict` first: to ask whether something is a Mapping takes ten times as long


def expand(document: Mapping[str, Any]) -> tuple[Tree, list[Problem]]:
    """Bring a cleaned document into nested form.

    Returns:
        The tree, and a problem for each flag that is written twice in different spellings (the first one
        stays in the tree) and for each dotted name of more than `MAX_DEPTH` parts.
    """
    tree: Tree = {}
    problems: list[Problem] = []
    for path, value in _leaves(document, ()):
        if len(path) > MAX_DEPTH:
            problems.append(Problem(path[:3], f"a name has at most {MAX_DEPTH} parts", "too_deep"))
        else:
            _insert(tree, _in_place(path, value), value, problems)
    return tree, problems


def override(tree: Tree, newer: Tree) -> Tree:
    """Merge `newer` into `tree`, both nested; neither is changed."""
    merged = dict(tree)
    for key, value in newer.items():
        old = merged.get(key)
        both = isinstance(value, dict) and value and isinstance(old, dict)
        merged[key] = override(old, value) if both and isinstance(old, dict) else value
    return merged


def split_name(name: str) -> tuple[str, ...]:
    """`train.lr` -> `("train", "lr")`; a name with an empty part stays whole and will be unknown."""
    parts = tuple(name.split("."))
    return parts if all(parts) else (name,)


def _leaves(document: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value that is not a non-empty object, with its path."""
    for key, value in document.items():
        here = (*path, key) if path[:1] == (FREE_GROUP,) else (*path, *split_name(key))
        if not isinstance(value, str) and isinstance(value, _OBJECTS) and value and len(here) <= MAX_DEPTH:
            yield from _leaves(value, here)
        else:
            yield here, value


def _in_place(path: tuple[str, ...], value: Any) -> tuple[str, ...]:
    if path[:2] != ("data", "split"):
        return path
    return ("split", "method") if len(path) == 2 and isinstance(value, str) else ("split", *path[2:])


def _insert(tree: Tree, path: tuple[str, ...], value: Any, problems: list[Problem]) -> None:
    *parents, name = path
    branch = tree
    for depth, part in enumerate(parents):
        inner = branch.setdefault(part, {})
        if not isinstance(inner, dict):
            problems.append(_contradiction(path[: depth + 1], inner, "flags below it"))
            return
        branch = inner
    if name not in branch:
        branch[name] = value
    elif not (value == {} and isinstance(branch[name], dict)):
        problems.append(_contradiction(path, branch[name], shown(value)))


def _contradiction(path: Path, first: Any, second: str) -> Problem:
    return Problem(path, f"written twice, as {shown(first)} and as {second}; write it once")
