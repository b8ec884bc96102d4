"""The recorded outputs: one JSON file a stage, with the version of the code that made them."""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "recorded"
COMMAND = "python -m proteinx_pipelines_tests.frozen.record"


def read(stage: str) -> dict[str, Any]:
    """`version` and `cases` of a stage; empty when nothing is recorded."""
    path = FOLDER / f"{stage}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"version": None, "cases": {}}


def write(stage: str, version: str, cases: dict[str, Any]) -> None:
    """Record a stage; numbers with eight significant digits, one case a line."""
    FOLDER.mkdir(exist_ok=True)
    lines = [
        f"  {json.dumps(name)}: {json.dumps(_short(cases[name]), ensure_ascii=False, separators=(',', ':'))}"
        for name in cases
    ]
    text = f'{{"version": {json.dumps(version)}, "cases": {{\n' + ",\n".join(lines) + "\n}}\n"
    (FOLDER / f"{stage}.json").write_text(text, encoding="utf-8")


def _short(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _short(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_short(item) for item in value]
    return float(f"{value:.8g}") if isinstance(value, float) else value
