"""Conditions and sorting of rows: `model=gp`, `test/spearman>0.5`, `split.seed=3`, `-received_at`."""

import json
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from proteinx_pipelines.errors import InputError
from proteinx_pipelines.flags.schema import known_names
from proteinx_pipelines.nearest import did_you_mean

FIELDS = (
    "experiment_id", "generation", "attempt", "state", "source", "model", "embedding", "split", "via", "whereabouts",
    "priority", "position", "eta_s", "stage", "progress", "received_at", "started_at", "finished_at", "error_code",
    "error_message",
)  # fmt: skip
"""Row fields that conditions and sorting may name, besides metrics and flags."""
SHORT = {"id": "experiment_id", "received": "received_at", "error": "error_code", "eta": "eta_s"}
_CONDITION = re.compile(r"(?P<name>[^=!<>~]+?)\s*(?P<op>>=|<=|!=|=|>|<|~)\s*(?P<value>.*)", re.DOTALL)
_COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_FORM = "NAME=VALUE is expected, with = != < <= > >= or ~ (contains), such as model=gp or test/spearman>0.5"

AnyRow = TypeVar("AnyRow")


def matching(rows: Sequence[AnyRow], conditions: Sequence[str]) -> list[AnyRow]:
    """The rows that meet every condition.

    A name is a row field, a metric (`test/spearman`) or a flag (`split.seed`). Values are compared as numbers if both
    are numbers, otherwise as text, ignoring case.

    Raises:
        InputError: a condition has another form, or names nothing; all of them at once.
    """
    problems, parsed = [], []
    for text in conditions:
        found = _CONDITION.fullmatch(text.strip())
        if found is None:
            problems.append(f"{text!r}: {_FORM}.")
            continue
        name = SHORT.get(found["name"].strip(), found["name"].strip())
        problems += _unknown(rows, name)
        parsed.append((name, found["op"], found["value"].strip()))
    if problems:
        raise InputError("\n".join(problems))
    return [row for row in rows if all(_meets(value_of(row, name), op, value) for name, op, value in parsed)]


def sorted_by(rows: Sequence[AnyRow], name: str) -> list[AnyRow]:
    """Rows sorted by a field, a metric or a flag; a leading `-` sorts descending. Rows without a value come last.

    Raises:
        InputError: nothing has this name.
    """
    descending, name = name.startswith("-"), name.removeprefix("-")
    name = SHORT.get(name, name)
    if problems := _unknown(rows, name):
        raise InputError(problems[0])
    known = [row for row in rows if value_of(row, name) is not None]
    rest = [row for row in rows if value_of(row, name) is None]
    return sorted(known, key=lambda row: _order(value_of(row, name)), reverse=descending) + rest


def value_of(row: Any, name: str) -> Any:
    """Value of a row's field, metric or flag; None if there is none."""
    if name in FIELDS:
        return getattr(row, name)
    if "/" in name:
        return row.summary.get(name)
    here: Any = row.flags
    for part in name.split("."):
        here = here.get(part) if isinstance(here, Mapping) else None
    return here


def _unknown(rows: Sequence[Any], name: str) -> list[str]:
    metrics = {metric for row in rows for metric in row.summary}
    known = [*FIELDS, *sorted(metrics), *known_names()]
    if name in known or "/" in name or name.startswith("ext."):
        return []
    listed = ", ".join(FIELDS)
    return [f"{name!r} is no field, metric or flag.{did_you_mean(name, known)} Fields are {listed}."]


def _meets(found: Any, op: str, wanted: str) -> bool:
    if op == "~":
        return wanted.casefold() in _text(found).casefold()
    left: Any = _number(found)
    right: Any = _number(wanted)
    if left is None or right is None:
        if op not in ("=", "!=") and (found is None or left is not None):
            return False  # a missing value, or a number beside a text, is neither below nor above
        left, right = _text(found).casefold(), wanted.casefold()
    return bool(_COMPARE[op](left, right))


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or value is None:
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _order(value: Any) -> tuple[int, Any]:
    number = _number(value)
    return (0, number) if number is not None else (1, _text(value).casefold())
