"""One message of letters, before three good ones, on a whole node: it is answered, and the good ones lose nothing.

Once, such a message blocked the run host in the redaction of its failure bundle; the good ones behind it lost attempt
after attempt and were given up after a quarter of an hour, while the heartbeat was there and `doctor` found no fault.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proteinx_pipelines_tests.story.conftest import Node

pytestmark = pytest.mark.story
SOURCE = "GB1_Nisthal_2019"
CANARY = "canary-5d0e"
SECRETS = (
    "REDIS_PASS",
    "REDIS_AUTH",
    "PROTEINX_SIGNING_KEY",
    "DAGSTER_DB_PW",
    "TORCH_PASSPHRASE",
    "ENCRYPTION_KEY",
)
LETTERS = "A" * 900_000


@pytest.fixture(scope="module")
def node(start_node: Callable[..., Node]) -> Node:
    return start_node(PROTEINX_NODE_NAME="attacked", **dict.fromkeys(SECRETS, CANARY))


def good(**more: Any) -> dict[str, Any]:
    return {"data": {"source": SOURCE, "limit": 200}, "evaluate": {"bootstrap": 0, "plots": False}, **more}


HOSTILE: dict[str, tuple[dict[str, Any], str, str]] = {
    "ext": ({"data": {"source": "no_such_source"}, "ext": {"sequence": LETTERS}}, "REJECTED", "bad_flags"),
    "source": ({"data": {"source": LETTERS}}, "REJECTED", "bad_flags"),
    "path": (good(split={"method": "file", "column": "c", "path": LETTERS}), "REJECTED", "bad_flags"),
    "climb": (good(split={"method": "file", "column": "c", "path": "../" * 300_000}), "REJECTED", "bad_flags"),
    "devices": (good(model={"name": "mlp"}, trainer={"devices": 1_000_000}), "REJECTED", "bad_flags"),
    "letters": ({"data": {"source": "no_such_source"}, "ext": {"x": LETTERS[:60_000]}}, "FAILED", "unknown_source"),
    "header": (good(split={"method": "file", "column": "c", "path": "wide.csv"}), "FAILED", "bad_split_file"),
}  # fmt: skip


def test_good_messages_behind_hostile_ones_lose_nothing(node: Node) -> None:
    (node.workdir / "wide.csv").write_text(LETTERS * 12 + "\n", encoding="utf-8")
    expected = {name: (status, code) for name, (_, status, code) in HOSTILE.items()}
    for name, (flags, _, _) in HOSTILE.items():
        node.push(name, flags)
    for number in range(3):
        node.push(f"good-{number}", good(split={"seed": number}))
        expected[f"good-{number}"] = ("SUCCEEDED", "")
    results = {found["experiment_id"]: found for found in (node.pop() for _ in expected)}
    told = {
        name: (found["status"], (found["error"] or {}).get("code", "")) for name, found in results.items()
    }
    assert told == expected
    assert {results[f"good-{number}"]["attempt"] for number in range(3)} == {1}
    assert all(len(json.dumps(found)) < 100_000 for found in results.values())


def test_what_it_left_is_small_and_holds_no_secret(node: Node) -> None:
    bundles = [node.workdir / "failures" / f"{name}-g1.json" for name in ("letters", "header")]
    end = time.monotonic() + 240
    while (
        not all(path.is_file() for path in bundles) and time.monotonic() < end
    ):  # results do not wait for them
        time.sleep(0.1)
    assert all(path.stat().st_size < 500_000 for path in bundles)
    assert (node.workdir / "state.db").stat().st_size < 20_000_000
    leaks = [path for path in node.workdir.rglob("*") if path.is_file() and _holds(path)]
    assert leaks == []


def _holds(path: Path) -> bool:
    return CANARY.encode() in path.read_bytes()
