"""A flag exists once a stage (or, for `run.*`, the node or the Master) reads it.

The package's syntax trees are searched for attribute reads such as `flags.train.lr`, or `flags.lr` where
`flags` is declared as `TrainFlags` in that file, or `train.lr` after `train = flags.train`. A word that only
looks alike (`optimizer.lr`) does not count, and neither does a read inside `flags/` itself.
"""

import ast
from functools import cache
from pathlib import Path

import pytest

from proteinx_pipelines.flags.schema import known_flags
from proteinx_pipelines.flags.tree import ExperimentFlags

PACKAGE = Path(__file__).parents[2] / "proteinx_pipelines"
GROUPS = {
    getattr(field.annotation, "__name__", ""): name
    for name, field in ExperimentFlags.model_fields.items()
    if name != "ext"
}
READERS = {
    "data": ("stages", "catalog", "execution", "defs"),
    "run": ("node", "execution", "queue", "defs", "master"),
}
"""Where a group may be read, when not in `stages` and `execution`."""


def annotated_groups(annotation: ast.expr | None) -> set[str]:
    text = ast.unparse(annotation) if annotation is not None else ""
    return {group for cls, group in GROUPS.items() if cls in text}


def last_word(node: ast.expr) -> str | None:
    """`self._flags` and `flags` -> `flags`: an attribute is named after the argument it keeps."""
    if isinstance(node, ast.Attribute):
        return node.attr.lstrip("_")
    return node.id if isinstance(node, ast.Name) else None


def names_of_groups(tree: ast.AST) -> dict[str, set[str]]:
    """Which identifiers of a file stand for which groups."""
    names = {group: {group} for group in GROUPS.values()}
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            names.setdefault(node.arg, set()).update(annotated_groups(node.annotation))
        elif isinstance(node, ast.AnnAssign) and (word := last_word(node.target)):
            names.setdefault(word, set()).update(annotated_groups(node.annotation))
        elif isinstance(node, ast.Assign):
            for target, value in assigned(node):
                if (
                    isinstance(value, ast.Attribute)
                    and value.attr in GROUPS.values()
                    and (word := last_word(target))
                ):
                    names.setdefault(word, set()).add(value.attr)
    return names


def assigned(node: ast.Assign) -> list[tuple[ast.expr, ast.expr]]:
    target = node.targets[0]
    if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
        return list(zip(target.elts, node.value.elts, strict=False))
    return [(target, node.value)]


def reads_of(tree: ast.AST) -> set[tuple[str, str]]:
    names = names_of_groups(tree)
    return {
        (group, node.attr)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
        for group in names.get(last_word(node.value) or "", ())
    }


@cache
def reads_in(folder: str) -> frozenset[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for path in sorted((PACKAGE / folder).rglob("*.py")):
        found |= reads_of(ast.parse(path.read_text(encoding="utf-8")))
    return frozenset(found)


def is_read(group: str, name: str) -> bool:
    return any((group, name) in reads_in(folder) for folder in READERS.get(group, ("stages", "execution")))


@pytest.mark.parametrize("dotted", [flag.dotted for flag in known_flags() if flag.group != "trainer"])
def test_the_flag_is_read_where_its_group_belongs(dotted):
    group, name = dotted.split(".")
    assert is_read(group, name), f"`{dotted}` is a flag, but nothing in the package reads it"


def test_the_arguments_of_the_trainer_are_read_as_a_whole():
    assert is_read("trainer", "arguments")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f(flags: TrainFlags): return flags.lr", True),
        ("def f(flags: ExperimentFlags): return flags.train.lr", True),
        ("def f(job):\n    train = job.flags.train\n    return train.lr", True),
        ("def f(job):\n    model, fit = job.flags.model, job.flags.train\n    return fit.lr", True),
        ("def f(self, flags: TrainFlags):\n    self._flags = flags\n    return self._flags.lr", True),
        ("def f(optimizer): return optimizer.lr", False),
        ("def f(flags: ModelFlags): return flags.lr", False),
        ("def f(train): train.lr = 1", False),
        ("'flags.train.lr'", False),
    ],
)
def test_the_search_tells_reads_from_look_alikes(source, expected):
    assert (("train", "lr") in reads_of(ast.parse(source))) is expected
