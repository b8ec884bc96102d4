"""The results of a run as Markdown: one line for each figure, its peer, and whether its goals are met.

Reads what `run.py` collected, measures nothing.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from measure import Goal

BEGIN = "<!-- figures: written by benchmarks/run.py -->"
END = "<!-- end of figures -->"
_LEGEND = (
    "Medians, with least and greatest in brackets. The ratio is the peer's median over ours. "
    "\\* The peer was timed in the recorded full run, not beside ours."
)
_RELATIONS = {"<=": "at most", ">=": "at least"}


def as_markdown(document: dict[str, Any], scripts: Sequence[str]) -> str:
    """The whole page: the machine, the table, and which of the scripts were not measured."""
    lines = [
        _headline(document),
        "",
        "| figure | ours | peer | ratio | goal | |",
        "|---|---|---|---|---|---|",
    ]
    for result in document["benchmarks"].values():
        lines += [_row(figure) for figure in result["figures"]]
    lines += [_failure(name, r) for name, r in document["benchmarks"].items() if r["status"] != "measured"]
    absent = [name for name in scripts if name not in document["benchmarks"]]
    lines += [f"| `{name}.py` | not measured | | | | |" for name in absent]
    counts = [_met(figure, goal) for figure in _figures(document) for goal in figure["goals"]]
    return "\n".join([*lines, "", _counted(counts), "", " ".join([_LEGEND, *_other_days(document)]), ""])


def into_page(table: str, page: Path) -> None:
    """Put the table between the two marks of a page."""
    before, rest = page.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    page.write_text(f"{before}{BEGIN}\n{table}{END}{after}", encoding="utf-8")


def _headline(document: dict[str, Any]) -> str:
    machine, versions = document["machine"], document["versions"]
    parts = ", ".join(
        f"{name} {versions[name]}" for name in ("python", "torch", "dagster", "pyarrow", "numpy")
    )
    return (
        f"{document['at'][:10]}, {machine['cores']} cores of {machine['processor']}, {machine['system']}; {parts}; "
        f"{document['size']} run, n repeats of each, load {machine['load']:.1f} before the last."
    )


def _other_days(document: dict[str, Any]) -> list[str]:
    """A sentence on what was measured on another day than the rest."""
    found = {name: result["at"][:10] for name, result in document["benchmarks"].items() if "at" in result}
    other = [f"`{name}.py` on {day}" for name, day in found.items() if day != document["at"][:10]]
    return [f"Measured on another day: {', '.join(other)}."] if other else []


def _counted(met: list[bool | None]) -> str:
    found = f"{met.count(True)} of {len(met)} goals met, {met.count(False)} missed"
    return f"{found}, {met.count(None)} without the peer that they speak of." if None in met else f"{found}."


def _figures(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [figure for result in document["benchmarks"].values() for figure in result["figures"]]


def _row(figure: dict[str, Any]) -> str:
    peer = ratio = ""
    if figure["peer"]:
        mark = " \\*" if "peer_recorded_at" in figure else ""
        peer = f"{figure['peer_name']}: {_spread(figure['peer'], figure['unit'])}{mark}"
        ratio = f"{figure['ratio']:.2f}{mark}"
    goals = "; ".join(_goal(figure, goal) for goal in figure["goals"])
    words = {True: "met", False: "**missed**", None: "not measured"}
    met = "; ".join(words[_met(figure, goal)] for goal in figure["goals"])
    ours = _spread(figure["ours"], figure["unit"])
    return f"| {figure['what']} (`{figure['id']}`) | {ours} | {peer} | {ratio} | {goals} | {met} |"


def _failure(name: str, result: dict[str, Any]) -> str:
    reason = result["reason"][-1] if result["reason"] else f"exit status {result['exit']}, no message"
    return f"| `{name}.py` | **failed** | | | | {reason.replace('|', '/')} |"


def _spread(spread: dict[str, Any], unit: str) -> str:
    if spread["n"] == 1:
        return f"{_number(spread['median'])} {unit} (n 1)"
    ends = f"{_number(spread['min'])} to {_number(spread['max'])}"
    return f"{_number(spread['median'])} {unit} ({ends}, n {spread['n']})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _goal(figure: dict[str, Any], goal: dict[str, Any]) -> str:
    unit = f" {figure['unit']}" if goal["of"] == "ours" else ""
    return f"{goal['of']} {_RELATIONS[goal['relation']]} {goal['value']:g}{unit}"


def _met(figure: dict[str, Any], goal: dict[str, Any]) -> bool | None:
    return Goal(**goal).holds(figure["ours"]["median"], figure["ratio"])
