"""`trainer.*`: arguments of Lightning's Trainer that JSON can represent. Read by the train stage.

Importing Lightning takes seconds, so the arguments are checked against a packaged snapshot of its signature,
`trainer_arguments.json`, which `flags.snapshot` writes and a test compares with the installed Lightning.
"""

import functools
import json
import re
from collections.abc import Callable
from importlib import resources
from typing import Any

from pydantic import ConfigDict, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from proteinx_pipelines.flags.base import FlagGroup, Refusal, refusal, refuse

SNAPSHOT_FILE = "trainer_arguments.json"
REFUSED_ARGUMENTS = {
    "max_epochs": "is written `train.max_epochs` here; move it there",
    "logger": "is an object; name the loggers to write in `train.logger`",
    "callbacks": "is made of Python objects; early stopping is `train.patience`, checkpoints are "
    "`train.save_every_n_epochs` and `train.keep_checkpoints`",
    "plugins": "is made of Python objects, which a flag cannot carry; `trainer.precision` and "
    "`trainer.strategy` choose by name",
    "profiler": "writes files of its own outside the experiment directory; leave it out",
    "default_root_dir": "is always the experiment directory; leave it out",
}
"""Arguments of the Trainer that are not flags, with the reason."""
COPYING_STRATEGIES = ("_spawn", "_fork", "_notebook")
"""Parts of the names of strategies whose processes are copies of the training process; a node's cannot be copied."""
NODE_DEFAULTS = {
    "devices": 1,
    "deterministic": True,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "num_sanity_val_steps": 0,
    "use_distributed_sampler": False,
}
"""Defaults that the train stage sets differently from Lightning."""

_JSON_TYPES: dict[str, tuple[type, ...]] = {
    "integer": (int,), "number": (int, float), "string": (str,), "boolean": (bool,), "null": (type(None),),
    "array": (list, tuple), "object": (dict,),
}  # fmt: skip
_FRACTION_OR_COUNT = (
    "limit_train_batches", "limit_val_batches", "limit_test_batches", "limit_predict_batches",
    "overfit_batches", "val_check_interval",
)  # fmt: skip


class TrainerFlags(FlagGroup):
    """Arguments of Lightning's Trainer, by their own names."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True, allow_inf_nan=False)

    def arguments(self) -> dict[str, Any]:
        """The arguments that were given."""
        return dict(self.model_extra or {})

    def n_machines(self) -> int:
        """Number of machines that a training runs on."""
        return int(self.arguments().get("num_nodes", 1))

    def key_arguments(self) -> dict[str, Any]:
        """The arguments in the form that enters a stage's key: those that differ from their defaults.

        A key treats 1.0 and 1 as the same number. Here they differ: 1.0 is all batches, 1 is one batch.
        """
        defaults = {name: schema["default"] for name, schema in trainer_arguments().items()}
        given = {
            name: value
            for name, value in self.arguments().items()
            if type(value) is not type(defaults[name]) or value != defaults[name]
        }
        whole = [
            name for name in _FRACTION_OR_COUNT if isinstance(given.get(name), float) and given[name] == 1.0
        ]
        return {**given, **dict.fromkeys(whole, "100%")}

    @model_validator(mode="after")
    def _arguments_are_lightnings(self) -> "TrainerFlags":
        refusals = [problem for name, value in self.arguments().items() if (problem := _refusal(name, value))]
        if refusals:
            refuse(refusals)
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The group's schema with the snapshot's arguments as its properties."""
        schema = handler.resolve_ref_schema(handler(core))
        schema["properties"] = trainer_arguments()
        schema["additionalProperties"] = False
        return schema


@functools.cache
def trainer_arguments() -> dict[str, dict[str, Any]]:
    """JSON Schema of each allowed argument: types, `description`, and the `default` that applies here."""
    return {
        name: {**schema, "default": NODE_DEFAULTS.get(name, schema["default"])}
        for name, schema in _snapshot()["arguments"].items()
    }


@functools.cache
def _snapshot() -> dict[str, Any]:
    content = resources.files("proteinx_pipelines.flags").joinpath(SNAPSHOT_FILE).read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(content)
    return loaded


def _refusal(name: str, value: Any) -> Refusal | None:
    if name in REFUSED_ARGUMENTS:
        return refusal(name, REFUSED_ARGUMENTS[name])
    schema = trainer_arguments().get(name)
    if schema is None:
        return {
            "type": "extra_forbidden",
            "loc": (name,),
            "input": value,
            "text": "not an argument of the Trainer",
        }
    if (reason := _never_works(name, value)) is not None:
        return refusal(name, reason)
    if not fits(schema, value):
        return {"type": "schema", "loc": (name,), "input": value, "text": f"does not take {value!r:.80}"}
    return None


def _never_works(name: str, value: Any) -> str | None:
    """Reason why a value that Lightning accepts cannot work in an experiment, or None."""
    if name == "strategy" and isinstance(value, str) and any(kind in value for kind in COPYING_STRATEGIES):
        return f"{value[:40]!r} copies the node's own process; 'ddp' starts fresh ones: use it"
    if name == "barebones" and value is True:
        return "switches off metrics and checkpoints, which an experiment consists of; leave it out"
    return None


def fits(schema: dict[str, Any], value: Any) -> bool:
    """True if a JSON value is allowed by the schema (the keywords that the snapshot uses)."""
    if "anyOf" in schema:
        return any(fits(branch, value) for branch in schema["anyOf"])
    if "enum" in schema:
        return any(type(choice) is type(value) and choice == value for choice in schema["enum"])
    kind = schema["type"]
    if not isinstance(value, _JSON_TYPES[kind]) or (isinstance(value, bool) and kind != "boolean"):
        return False
    return kind not in _INSIDE or _INSIDE[kind](schema, value)


def _number_fits(schema: dict[str, Any], value: float) -> bool:
    inside = schema.get("minimum", value) <= value <= schema.get("maximum", value)
    inside = inside and ("exclusiveMinimum" not in schema or value > schema["exclusiveMinimum"])
    return bool(inside) and not ("not" in schema and fits(schema["not"], value))


def _text_fits(schema: dict[str, Any], value: str) -> bool:
    if len(value) > schema.get("maxLength", len(value)):
        return False
    return "pattern" not in schema or re.fullmatch(schema["pattern"], value) is not None


def _list_fits(schema: dict[str, Any], value: list[Any]) -> bool:
    fitting = schema["minItems"] <= len(value) <= schema.get("maxItems", len(value))
    return fitting and all(fits(schema["items"], item) for item in value)


def _object_fits(schema: dict[str, Any], value: dict[str, Any]) -> bool:
    known = schema["properties"]
    every = all(name in known and fits(known[name], item) for name, item in value.items())
    return len(value) >= schema["minProperties"] and every


_INSIDE: dict[str, Callable[[dict[str, Any], Any], bool]] = {
    "integer": _number_fits, "number": _number_fits, "string": _text_fits, "array": _list_fits,
    "object": _object_fits,
}  # fmt: skip
"""JSON type -> check of a value of that type against the rest of the schema."""
