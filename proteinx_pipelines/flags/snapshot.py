"""Writes `trainer_arguments.json` from the signature of the installed Lightning.

    python -m proteinx_pipelines.flags.snapshot

Run it after an update of Lightning and read the difference. `_NARROWED` restricts what a type annotation leaves open
(which texts, which numbers), from Lightning's registries and its own checks, so that a wrong value is refused when
the message arrives and not when the training starts.
"""

import inspect
import json
import re
import types
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from proteinx_pipelines.flags.base import LONGEST_LABEL
from proteinx_pipelines.flags.trainer import COPYING_STRATEGIES, REFUSED_ARGUMENTS, SNAPSHOT_FILE

Schema = dict[str, Any]

_SIMPLE = {int: "integer", float: "number", str: "string", bool: "boolean", type(None): "null"}
_ORDER = ("enum", "boolean", "integer", "number", "string", "array", "object", "null")
"""Order of alternatives; the order inside a Union depends on which equal Union was made first in the process."""
_MOST_DEVICES = 256
_LARGEST = 2**31 - 1  # of a count of steps or epochs
_WHOLE: Schema = {"type": "integer", "minimum": 0, "maximum": 1_000_000}
_TIME: dict[str, Schema] = {
    "string": {"pattern": r"\d{1,4}:\d\d:\d\d:\d\d", "examples": ["00:01:30:00"]},
    "object": {
        "properties": dict.fromkeys(("weeks", "days", "hours", "minutes", "seconds"), _WHOLE),
        "additionalProperties": False,
    },
}
_BATCHES: dict[str, Schema] = {
    "integer": {"minimum": 0, "maximum": _LARGEST},
    "number": {"minimum": 0, "maximum": 1},
}


def trainer_schemas() -> dict[str, Schema]:
    """JSON Schema of every argument of the installed Trainer that is a flag, by name, in its order.

    Raises:
        TypeError: an argument has no JSON form and is not in `REFUSED_ARGUMENTS`; add it there with a reason.
    """
    from lightning.pytorch import Trainer

    hints = get_type_hints(Trainer.__init__)
    documentation = _argument_docs(inspect.getdoc(Trainer.__init__) or "")
    schemas = {}
    for name, parameter in inspect.signature(Trainer.__init__).parameters.items():
        if name != "self" and name not in REFUSED_ARGUMENTS:
            allowed = _allowed(name, hints[name])
            schemas[name] = {
                "description": documentation.get(name, ""),
                **(allowed[0] if len(allowed) == 1 else {"anyOf": allowed}),
                "default": parameter.default,
            }
    return schemas


def write_snapshot(target: Path) -> None:
    """Write the snapshot of the installed Lightning."""
    import lightning

    document = {"lightning": lightning.__version__, "arguments": trainer_schemas()}
    target.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def _allowed(name: str, annotation: Any) -> list[Schema]:
    narrowed = _narrowed().get(name, {})
    branches = [{**branch, **narrowed.get(branch.get("type", ""), {})} for branch in _branches(annotation)]
    if not branches:
        raise TypeError(f"Trainer({name}: {annotation}) has no JSON form; add it to REFUSED_ARGUMENTS")
    for branch in branches:
        if "enum" in branch:
            branch.pop("type", None)
    kinds = [branch.get("type") for branch in branches]
    if "number" in kinds and "integer" not in narrowed:  # a number may be whole
        branches = [branch for branch in branches if branch.get("type") != "integer"]
    return branches


def _branches(annotation: Any) -> list[Schema]:
    """The alternatives of an annotation that JSON can represent; objects of Lightning are left out."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        found = [branch for each in inner for branch in _branches(each)]
        unique = [branch for position, branch in enumerate(found) if branch not in found[:position]]
        return sorted(unique, key=lambda branch: _ORDER.index(branch.get("type", "enum")))
    if origin is Literal:
        return [{"enum": list(inner)}]
    if origin is list and len(items := _branches(inner[0])) == 1:
        return [{"type": "array", "items": items[0], "minItems": 1}]
    if origin is dict and inner[0] is str:
        return [{"type": "object", "minProperties": 1}]
    return [{"type": _SIMPLE[annotation]}] if annotation in _SIMPLE else []


def _narrowed() -> dict[str, dict[str, Schema]]:
    """Argument -> JSON type -> values of that type that Lightning itself accepts."""
    from lightning.pytorch.accelerators import AcceleratorRegistry
    from lightning.pytorch.strategies import StrategyRegistry

    strategies = [
        name
        for name in sorted(StrategyRegistry.available_strategies())
        if not any(kind in name for kind in COPYING_STRATEGIES)
    ]
    accelerators = ["auto", "gpu", *sorted(AcceleratorRegistry.available_accelerators())]
    counts = {
        "max_steps": -1, "min_steps": 0, "min_epochs": 0, "fast_dev_run": 0,
        "check_val_every_n_epoch": 1, "num_sanity_val_steps": -1, "log_every_n_steps": 0,
        "accumulate_grad_batches": 1, "reload_dataloaders_every_n_epochs": 0,
    }  # fmt: skip
    limits = ("limit_train_batches", "limit_val_batches", "limit_test_batches", "limit_predict_batches")
    return {
        **{name: {"integer": {"minimum": least, "maximum": _LARGEST}} for name, least in counts.items()},
        **dict.fromkeys((*limits, "overfit_batches"), _BATCHES),
        "val_check_interval": {
            **_TIME,
            "integer": {"minimum": 1, "maximum": _LARGEST},
            "number": {"exclusiveMinimum": 0, "maximum": 1},
        },
        "num_nodes": {"integer": {"minimum": 1, "maximum": 1024}},
        "max_time": _TIME,
        "accelerator": {"string": {"enum": accelerators}},
        "strategy": {"string": {"enum": ["auto", *strategies]}},
        "devices": {
            "integer": {"minimum": -1, "maximum": _MOST_DEVICES, "not": {"enum": [0]}},
            # A number alone is a count, so it is not 0; numbers in a list are device indices.
            "string": {
                "pattern": r"auto|-1|0{0,9}[1-9]\d{0,2}|\d{1,3}(,\d{1,3}){1,255}",
                "examples": ["0,1"],
            },
            "array": {
                "items": {"type": "integer", "minimum": 0, "maximum": _MOST_DEVICES - 1},
                "maxItems": _MOST_DEVICES,
            },
        },
        "gradient_clip_val": {"number": {"minimum": 0, "maximum": 1e12}},
        "model_registry": {"string": {"maxLength": LONGEST_LABEL}},
        "gradient_clip_algorithm": {"string": {"enum": ["value", "norm"]}},
    }


def _argument_docs(documentation: str) -> dict[str, str]:
    """First sentence of each entry of the docstring's `Args`."""
    entries = re.findall(
        r"^    (\w+): (.*?)(?=^    \w+: |^\S|\Z)", documentation, flags=re.MULTILINE | re.DOTALL
    )
    return {name: _first_sentence(" ".join(text.split())) for name, text in entries}


def _first_sentence(text: str) -> str:
    sentence = re.split(r"(?<=[.!?])\s+(?=[A-Z])|\s+Default: ", text, maxsplit=1)[0]
    return re.sub(r":\w+:`~?([^`]*)`", r"`\1`", sentence).replace("``", "`").replace("\\", "")


if __name__ == "__main__":
    write_snapshot(Path(__file__).with_name(SNAPSHOT_FILE))
