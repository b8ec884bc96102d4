"""Validates a nested tree into `ExperimentFlags`, or into problems in English.

pydantic checks; its errors are put into words here, using the flag's own schema for the expected values. The input is
JSON text (not Python values), because strict checking accepts a list for a tuple only from JSON.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any, cast

from pydantic import ValidationError
from pydantic_core import to_json

from proteinx_pipelines.flags.base import REFUSED
from proteinx_pipelines.flags.describe import describe
from proteinx_pipelines.flags.model import NETWORKS
from proteinx_pipelines.flags.nesting import Tree
from proteinx_pipelines.flags.problems import MAX_PROBLEMS, Path, Problem, shown
from proteinx_pipelines.flags.reading import JOINT, LEARN_JOINTLY
from proteinx_pipelines.flags.schema import locate
from proteinx_pipelines.flags.spelling import did_you_mean
from proteinx_pipelines.flags.tree import ExperimentFlags

_MOST_TRANSLATED = 6 * MAX_PROBLEMS  # pydantic reports every alternative of a union separately


def validate(tree: Tree) -> tuple[ExperimentFlags | None, list[Problem]]:
    """Check a nested tree (plain JSON values) against the models; flags are None when there are problems."""
    text = to_json({"data": {}, **tree})
    between = list(_between_groups(tree))
    try:
        flags = ExperimentFlags.model_validate_json(text)
        return (None if between else flags), between
    except ValidationError as error:
        found = cast("list[dict[str, Any]]", error.errors(include_url=False)[:_MOST_TRANSLATED])
        translated = (_problem(each) for each in islice(_flattened(found), _MOST_TRANSLATED))
        return None, list(dict.fromkeys([*translated, *between]))


def _between_groups(tree: Tree) -> Iterator[Problem]:
    """Problems between flags of different groups, as far as the groups can be read."""
    model, evaluate = (
        group if isinstance(group := tree.get(name), dict) else {} for name in ("model", "evaluate")
    )
    name, fractions = model.get("name"), evaluate.get("train_fractions")
    if name in NETWORKS and isinstance(fractions, list) and fractions:
        text = f"trains the model again, which `model.name` {name!r} is too slow for; leave it out"
        yield Problem(("evaluate", "train_fractions"), text)
    yield from _tasks(tree)
    yield from _goals(tree)
    yield from _weights(tree)


def _weights(tree: Tree) -> Iterator[Problem]:
    """Problem of a weight that would count for nothing: of a property without a goal."""
    data, design = (group if isinstance(group := tree.get(name), dict) else {} for name in ("data", "design"))
    goals, weights = design.get("goal"), design.get("weights")
    if not isinstance(weights, dict):
        return
    known = [*goals] if isinstance(goals, dict) else [data.get("score") or "DMS_score"]
    unknown = [str(name) for name in weights if name not in known]
    if unknown:
        text = f"{', '.join(unknown)} has no goal in `design.goal`, which has one for {', '.join(map(str, known))}"
        yield Problem(("design", "weights"), f"{text}; give it a goal, or leave the weight out")


def _tasks(tree: Tree) -> Iterator[Problem]:
    """Problems of several tasks in one model: it learns one, there is one, or the loss is of classes."""
    names = ("data", "model", "train")
    data, model, train = (group if isinstance(group := tree.get(name), dict) else {} for name in names)
    if model.get("tasks") != JOINT:
        return
    name, target, kept = model.get("name", "ridge"), data.get("score") or "DMS_score", data.get("properties")
    if name not in LEARN_JOINTLY:
        text = (
            f"'joint' is not for `model.name` {shown(name)}, which learns one property; models of several: "
        )
        yield Problem(("model", "tasks"), text + ", ".join(LEARN_JOINTLY))
    if not kept or kept == target or (isinstance(kept, list) and target in kept):
        text = "'joint' needs properties beside the target; name them in `data.properties`"
        yield Problem(("model", "tasks"), text)
    if train.get("loss") == "bce" and name in NETWORKS:
        yield Problem(("train", "loss"), "'bce' is of classes; `model.tasks` 'joint' needs another loss")


def _goals(tree: Tree) -> Iterator[Problem]:
    """Problems of goals by property: each property is measured and kept, and the target has one."""
    data, design = (group if isinstance(group := tree.get(name), dict) else {} for name in ("data", "design"))
    goals, kept = design.get("goal"), data.get("properties") or ()
    if not isinstance(goals, dict) or not isinstance(kept, list | tuple | str):
        return
    target = data.get("score") or "DMS_score"
    known = [target, *([kept] if isinstance(kept, str) else kept)]
    unknown = [name for name in goals if name not in known]
    if unknown:
        text = (
            f"{', '.join(unknown)} is neither the target ({target}) nor in `data.properties`; add it there, by the "
            "name of its column as imported"
        )
        yield Problem(("design", "goal"), text)
    if target not in goals:
        yield Problem(("design", "goal"), f"no goal for the target, {target}; give it one")


def _flattened(errors: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The errors of pydantic, with those that a group found by itself one by one."""
    for error in errors:
        if error["type"] != REFUSED:
            yield error
            continue
        for refusal in error["ctx"]["refusals"]:
            yield {**refusal, "loc": (*error["loc"], *refusal["loc"])}


def _problem(error: dict[str, Any]) -> Problem:
    path: Path = error["loc"]
    if error["type"] == "extra_forbidden":
        return Problem(path, f"unknown flag{did_you_mean(path)}")
    if error["type"] == "text":
        return Problem(path, str(error["text"]))
    place, schema = locate(path)
    return Problem(place, _text(error, schema))


def _text(error: dict[str, Any], schema: dict[str, Any]) -> str:
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    expected = describe(schema)
    if error["type"] == "missing":
        return f"missing, expected {expected}"
    if error["type"] in ("too_long", "string_too_long"):
        return f"found {_size(error)}, expected at most {error['ctx']['max_length']}"
    return f"found {shown(error['input'])}, expected {expected}"


def _size(error: dict[str, Any]) -> str:
    value = error["input"]
    if error["type"] == "too_long" and isinstance(value, str):  # a list written with commas
        return f"{value.count(',') + 1} entries"
    return f"{len(value)} {'characters' if isinstance(value, str) else 'entries'}"
