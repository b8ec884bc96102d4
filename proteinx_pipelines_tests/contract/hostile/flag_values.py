"""Flags that do not exist, values of wrong types and sizes, conditions that are none, names with code in them."""

import json
from typing import Any

from pydantic import BaseModel

from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines_tests.contract.hostile.case import Case, dotted, envelope, flags
from proteinx_pipelines_tests.contract.hostile.texts import DIGITS

_NULLS = '{"column": "id", "op": "is null"}'
_NUMBERS = {
    "a word": '"fast"', "digits in a text": '"0.1"', "true": "true", "null": "null", "a list": "[1]", "an object": "{}",
    "-1": "-1", "0": "0", "minus nothing": "-0.0", "NaN": "NaN", "Infinity": "Infinity", "-Infinity": "-Infinity",
    "1e999": "1e999", "-1e999": "-1e999", "10^5000": DIGITS.decode(), "-10^5000": "-" + DIGITS.decode(),
    "2^64": str(2**64),
    "a number to be": '"1 + 1"',
}  # fmt: skip
_WHOLE = {
    "1.5": "1.5", "0": "0", "-1": "-1", "2^63": str(2**63), "2^64": str(2**64), "1e999": "1e999", "true": "true",
    "a text": '"10"', "null": "null", "NaN": "NaN", "10^5000": DIGITS.decode(),
}  # fmt: skip
_SEEDS = {"-1": "-1", "2^32": str(2**32), "1.5": "1.5", "a text": '"now"', "true": "true"}
_COLUMNS = {
    "an unknown one": "x", "SQL": "1=1; --", "a rowid": "rowid", "a system table": "sqlite_master.sql",
    "another table": "sources.id",
    "a subquery": "(SELECT 1)", "quotes": '"id"', "other letters": "ID", "a star": "*", "nothing": "",
    "a comment": "id--", "a function": "load_extension('x')", "NUL in it": "id\0", "a dunder": "__class__",
    "null": None, "5": 5,
    "a list": ["id"],
}  # fmt: skip
_OPERATORS = {
    "SQL": "= 1 OR 1", "two of them": "= =", "a comment": "=--", "glob": "glob", "regexp": "regexp", "match": "match",
    "or": "or",
    "in capitals": "IN", "a statement": "; DROP TABLE mutations", "Python's": "==", "exists": "exists", "nothing": "",
    "null": None,
    "an object": {"$gt": 0},
}  # fmt: skip
_VALUES: dict[str, tuple[str, Any]] = {
    "an object": ("=", {"$gt": 0}), "null for =": ("=", None), "a list for =": ("=", [1]),
    "a value for is null": ("is null", 1),
    "one end": ("between", [1]), "three ends": ("between", [1, 2, 3]), "a text for between": ("between", "1 AND 2"),
    "an empty list": ("in", []), "a text for in": ("in", "(1)"), "a list in a list": ("in", [[1]]),
    "an object in a list": ("in", [{}]),
    "a number for like": ("like", 5), "10,001 values": ("in", list(range(10_001))), "2^64": ("=", 2**64),
    "NaN": ("=", float("nan")),
    "NUL": ("=", "a\0"), "half a surrogate": ("=", "\ud800"),
}  # fmt: skip
_NAMES = {
    "misspelt": "train.learnin_rate", "in capitals": "TRAIN.LR", "with a space": "train. lr",
    "of an unknown group": "rocket.fuel",
    "of a value below a flag": "train.lr.value", "empty": "", "a dot": ".", "dots alone": "...",
    "with a dot first": ".train.lr",
    "with a dot last": "train.lr.", "with two dots": "train..lr", "a dunder": "__class__",
    "a dotted dunder": "train.__init__.__globals__",
    "a prototype": "__proto__.admin", "a constructor": "constructor.prototype", "pydantic's own": "train.model_config",
    "pydantic's method": "model_validate", "with a position": "data.where[0].column", "with a slash": "train/lr",
    "of the environment": "$HOME", "of a Cyrillic letter": "tr\u0430in.lr", "with a terminal escape": "\x1b[2Jx",
    "SQL": "'; DROP TABLE x",
    "of the node's settings": "workdir", "of a secret": "REDIS_URL", "of 500,000 letters": "y" * 500_000,
    "of 100,000 parts": "a." * 100_000 + "a",
}  # fmt: skip
_CODE = {
    "evaluate.metrics": ["os.system"], "trainer.callbacks": ["os.system"], "trainer.plugins": "x",
    "trainer.profiler": "x",
    "trainer.logger": {"_class_path": "os.system"}, "trainer.default_root_dir": "/etc", "trainer.max_epochs": 3,
    "trainer.strategy": "os.system", "trainer.accelerator": "$(id)", "trainer.precision": "eval",
    "trainer.devices": "all; id",
    "trainer.nothing_of_the_kind": 1, "train.logger": ["wandb"], "model.name": "os.system",
    "embedding.name": "torch.load",
    "embedding.also": ["pickle"], "split.method": "exec", "transform.target": "lambda y: y",
    "transform.derived": ["__import__('os')"],
    "model.activation": "torch.hub.load", "data.split": {"method": "eval"},
}  # fmt: skip
_TOGETHER = {
    "fractions that sum to 2": ('"split.fractions": [1, 0.5, 0.5]', "split.fractions"),
    "two fractions": ('"split.fractions": [0.5, 0.5]', "split.fractions"),
    "a fraction below 0": ('"split.fractions": [1.5, -0.25, -0.25]', "split.fractions"),
    "nothing to train on": ('"split.fractions": [0, 0.5, 0.5]', "split.fractions"),
    "a million models": ('"split": {"folds": 1000, "repeats": 100}', "split.folds"),
    "one fold": ('"split.folds": 1', "split.folds"),
    "a path without its method": ('"split.path": "a.csv"', "split.path"),
    "a method without its path": ('"split.method": "file"', "split.path"),
    "NUL in a path": ('"split": {"method": "file", "path": "a\\u0000", "column": "c"}', "split.path"),
    "a range upside down": ('"data.mut_num": {"min": 3, "max": 1}', "data.mut_num"),
    "a range with a third end": ('"data.dms_score": {"min": 1, "mid": 2}', "data.dms_score.mid"),
    "a leak without a reason": ('"split.allow_leakage": [{"check": "same_sequence", "reason": ""}]',
                                "split.allow_leakage[0].reason"),
    "a flag and its group": ('"train": 5, "train.lr": 1', "train"),
    "a flag in both spellings": ('"train": {"lr": 1}, "train.lr": 2', "train.lr"),
    "1,000 conditions": (f'"data.where": [{", ".join([_NULLS] * 1000)}]', "data.where"),
    "50,000 unknown flags": (",".join(f'"f{number}": 1' for number in range(50_000)), "f0"),
    "200,000 NaN": ('"ext": {"x": [' + ",".join(["NaN"] * 200_000) + "]}", "ext.x[0]"),
    "an empty name in ext": ('"ext": 5', "ext"),
    "a hundred thousand metrics": ('"evaluate.metrics": [' + ",".join(['"mse"'] * 100_000) + "]", "evaluate.metrics"),
    "a layer of no model": ('"embedding.layer": 3', "embedding.layer"),
    "a path of 900,000 letters": (
        f'"split": {{"method": "file", "column": "c", "path": "{"a" * 900_000}"}}', "split.path"),
    "a path of 300,000 steps back": (
        f'"split": {{"method": "file", "column": "c", "path": "{"../" * 300_000}"}}', "split.path"),
    "weights of 900,000 letters": (
        f'"embedding": {{"name": "esm2_t6_8M_UR50D", "weights": "{"a" * 900_000}"}}', "embedding.weights"),
    "an ext of 900,000 letters": (f'"ext": {{"sequence": "{"A" * 900_000}"}}', "ext"),
    "an ext of 100,000 numbers": ('"ext": {"x": [' + ",".join(["1"] * 100_000) + "]}", "ext"),
    "a column of 900,000 letters": (f'"split": {{"method": "file", "path": "a", "column": "{"c" * 900_000}"}}',
                                    "split.column"),
    "a value of 900,000 letters": (
        f'"data.where": [{{"column": "mutant", "op": "=", "value": "{"A" * 900_000}"}}]', "data.where[0]"),
    "a bin of 900,000 letters": (f'"data.dms_score_bin": "{"A" * 900_000}"', "data.dms_score_bin"),
    "a million devices": ('"trainer.devices": 1000000', "trainer.devices"),
    "a million loaders": ('"train.num_workers": 1000000', "train.num_workers"),
    "a batch of 10^12": ('"train.batch_size": 1000000000000', "train.batch_size"),
    "10^12 epochs": ('"train.max_epochs": 1000000000000', "train.max_epochs"),
    "10^9 bootstraps": ('"evaluate.bootstrap": 1000000000', "evaluate.bootstrap"),
    "10^9 folds": ('"split.folds": 1000000000', "split.folds"),
    "a layer of 10^9": ('"model": {"name": "mlp", "hidden_dims": [1000000000]}', "model.hidden_dims[0]"),
    "10^9 channels": ('"model": {"name": "cnn", "channels": 1000000000}', "model.channels"),
    "10^12 tokens": ('"embedding.tokens_per_batch": 1000000000000', "embedding.tokens_per_batch"),
    "copies of the node": ('"trainer.strategy": "ddp_spawn"', "trainer.strategy"),
    "bare bones": ('"trainer.barebones": true', "trainer.barebones"),
    "a hidden layer of nothing": ('"model.hidden_dims": [0]', "model.hidden_dims[0]"),
}  # fmt: skip
_WHOLE_GROUPS = {
    "null": (None, "flags"), "a list": ([1], "flags"), "a text": ("data.source=x", "flags"), "5": (5, "flags"),
    "true": (True, "flags"), "nothing": ({}, "data.source"), "no source": ({"train.lr": 1}, "data.source"),
    "a source of 900,000 letters": ({"data.source": "A" * 900_000}, "data.source"),
    "an empty source": ({"data.source": ""}, "data.source"), "no sources": ({"data.source": []}, "data.source"),
    "a source of null": ({"data.source": None}, "data.source"), "a source of 5": ({"data.source": 5}, "data.source"),
    "a source of an object": ({"data.source": {"name": "GB1"}}, "data.source"),
    "a source with NUL": ({"data.source": "a\0b"}, "data.source"), "data of null": ({"data": None}, "data"),
    "data of a list": ({"data": ["source"]}, "data"),
    "20,000 sources": ({"data.source": ["x"] * 20_000}, "data.source"),
}  # fmt: skip


def _where(**condition: Any) -> bytes:
    return envelope(
        flags={"data.source": "GB1", "data.where": [{"column": "id", "op": "=", "value": 1, **condition}]}
    )


def _place(name: str) -> str:
    """What every answer shows of a name: its first part, on one line."""
    first = name.split(".")[0]
    return "" if len(first) > 50 else first.encode("unicode_escape").decode() if "\x1b" in first else first


def _objects() -> dict[str, Case]:
    """An object for every flag that takes none: whatever flag comes next is among them."""
    cases = {}
    for group, field in ExperimentFlags.model_fields.items():
        kind = field.annotation
        if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
            continue
        for flag in kind.model_fields:
            name = f"{group}.{flag}"
            cases[f"an object for {name}"] = Case(dotted(name, {"$where": [1]}), "bad_flags", name)
    return cases


FLAG_VALUES = {
    **{f"train.lr: {name}": Case(flags(f'"train.lr": {text}'), "bad_flags", "train.lr")
       for name, text in _NUMBERS.items()},
    **{f"train.max_epochs: {name}": Case(flags(f'"train.max_epochs": {text}'), "bad_flags", "train.max_epochs")
       for name, text in _WHOLE.items()},
    **{f"{flag}: {name}": Case(flags(f'"{flag}": {text}'), "bad_flags", flag)
       for flag in ("data.seed", "split.seed", "train.seed") for name, text in _SEEDS.items()},
    **{f"a column: {name}": Case(_where(column=value), "bad_flags", "data.where[0].column")
       for name, value in _COLUMNS.items()},
    **{f"an operator: {name}": Case(_where(op=value), "bad_flags", "data.where[0].op")
       for name, value in _OPERATORS.items()},
    **{f"a value: {name}": Case(_where(op=op, value=value), "bad_flags", "data.where[0]")
       for name, (op, value) in _VALUES.items()},
    **{f"a flag's name: {name}": Case(dotted(text, 1), "bad_flags", _place(text)) for name, text in _NAMES.items()},
    **{f"code in {name}": Case(dotted(name, value), "bad_flags", name.replace("data.split", "split"))
       for name, value in _CODE.items()},
    **{f"flags: {name}": Case(flags(text), "bad_flags", place) for name, (text, place) in _TOGETHER.items()},
    **{f"all flags: {name}": Case(envelope(flags=value), "bad_flags", place)
       for name, (value, place) in _WHOLE_GROUPS.items()},
    "a source as text in text": Case(envelope(flags=json.dumps({"data.source": "x"})), "bad_flags", "flags"),
    **_objects(),
}  # fmt: skip
"""What is refused for its flags."""
