"""Redis keys are spelled in `contract.keys` and nowhere else."""

import ast
import re
from pathlib import Path

from proteinx_pipelines.contract.keys import NodeKeys, QueueKeys

PACKAGE = Path(__file__).parents[2] / "proteinx_pipelines"
SPELLED = re.compile(r"(^nodes/|:status:|:processing|(^|experiments):(cancel|events|sent)$|:to:)")
"""A whole key, or what stands between its variable parts."""
BEGINS = re.compile(r"f['\"]\{[^}]*(queue|results|messages)[a-z_]*\}:[a-z]")
"""A key that begins with the name of a list."""


def spelled_in(path: Path) -> list[str]:
    """Texts of a file that are, or begin or end as, a key of Redis; docstrings do not count."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    texts = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in said]
    joined = [
        f"{path.relative_to(PACKAGE)}, line {node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr) and BEGINS.match(ast.unparse(node))
    ]
    return joined + [
        f"{path.relative_to(PACKAGE)}, line {node.lineno}: {node.value}"
        for node in texts
        if isinstance(node.value, str) and " " not in node.value and SPELLED.search(node.value)
    ]


def test_no_other_module_spells_a_key():
    others = [path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "contract" / "keys.py"]
    assert [each for path in others for each in spelled_in(path)] == []


def test_a_key_that_is_spelled_elsewhere_is_found():
    assert len(spelled_in(PACKAGE / "contract" / "keys.py")) >= 8


def test_two_queues_and_two_nodes_on_one_server_do_not_meet():
    first, second = QueueKeys(), QueueKeys("experiments:n1", "experiments:n1:results")

    def keys(of: QueueKeys) -> set[str]:
        return {of.messages, of.all_results, of.cancels, of.events, of.delivered, of.results("a"), of.status("a"),
                of.claimed("n")}  # fmt: skip

    assert len(keys(first)) == len(keys(second)) == 8
    assert keys(first) & keys(second) == set()
    assert set(NodeKeys("a").all()) & set(NodeKeys("b").all()) == set()
