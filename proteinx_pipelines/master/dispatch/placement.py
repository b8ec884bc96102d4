"""Placement: which nodes can take a job, and if none can, the reason in words."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from proteinx_pipelines.contract.capabilities import Capabilities
from proteinx_pipelines.contract.references import is_of_a_store
from proteinx_pipelines.domain.embedders import is_language_model
from proteinx_pipelines.flags.run import Needs, RunFlags
from proteinx_pipelines.master.nodes.node import Node
from proteinx_pipelines.pipeline.stages import named_paths
from proteinx_pipelines.store_address import name_inside

_BOTH = ("gpu", "gpu_memory_gb", "memory_gb", "cpus")


def needs_of(row: Mapping[str, Any]) -> Needs:
    """What a job needs of its node: `run.needs` and the job's own `needs` together, the larger of each number."""
    run = RunFlags.model_validate({"needs": _known(row["flags"].get("run", {}).get("needs") or {})})
    given = [run.needs, Needs.model_validate(_known(row["needs"] or {}))]
    numbers = {
        name: max((getattr(each, name) or 0 for each in given), default=0) or (0 if name == "gpu" else None)
        for name in _BOTH
    }
    labels = dict.fromkeys(label for each in given for label in each.labels)
    return Needs.model_validate({**numbers, "labels": tuple(labels)})


def _known(given: Mapping[str, Any]) -> dict[str, Any]:
    """The needs that this version knows, numbers as it keeps them."""
    found = {name: value for name, value in given.items() if name in Needs.model_fields and value is not None}
    return {
        name: float(value) if name in ("gpu_memory_gb", "memory_gb") else value
        for name, value in found.items()
    }


def able(row: Mapping[str, Any], nodes: Sequence[Node]) -> tuple[list[Node], str]:
    """The nodes that can take a job, and the reason why none can; the reason is empty where one can.

    A node that has the sources in its catalog goes before those that would fail, and one that has a language model's
    weights before those that would have to download them.
    """
    misfits = {node.name: list(_misfits(row, node)) for node in nodes}
    fit = [node for node in nodes if not misfits[node.name]]
    if fit:
        best = max(_readiness(row, node) for node in fit)
        return [node for node in fit if _readiness(row, node) == best], ""
    everywhere = [text for text in misfits[nodes[0].name] if all(text in each for each in misfits.values())]
    if everywhere:
        return [], f"needs {', '.join(everywhere)}: no node has {'it' if len(everywhere) == 1 else 'them'}"
    each = "; ".join(f"{name} lacks {', '.join(found)}" for name, found in list(misfits.items())[:5])
    return [], f"no node has all that it needs: {each}"


def fitting(row: Mapping[str, Any], nodes: Sequence[Node]) -> list[Node]:
    """The nodes that lack nothing of what a job needs, whether its data are there or not."""
    return [node for node in nodes if not list(_misfits(row, node))]


def signature(row: Mapping[str, Any]) -> str:
    """Text that is equal for jobs that the same nodes can take."""
    flags = row["flags"]
    facts = [
        row["needs"], flags.get("run", {}).get("needs"), flags.get("embedding"), flags.get("model", {}).get("name"),
        flags.get("evaluate", {}).get("metrics"), flags.get("data", {}).get("source"), row["payload_ref"],
        _in_stores(row),
    ]  # fmt: skip
    return json.dumps(facts, sort_keys=True, default=str)


def _misfits(row: Mapping[str, Any], node: Node) -> Iterator[str]:
    """What a node lacks, in words."""
    can, needs, flags = node.can, needs_of(row), row["flags"]
    if can is None:  # it has not said what it can: only what needs nothing special goes there
        yield from _asked(needs)
        return
    for label in needs.labels:
        if label not in can.labels:
            yield f"label {label}"
    if len([gpu for gpu in can.gpus if _is_large_enough(gpu.memory_total_bytes, needs)]) < needs.gpu:
        yield _gpus(needs)
    if needs.memory_gb is not None and _memory_gb(can) < needs.memory_gb:
        yield f"{needs.memory_gb:g} GB of memory"
    if needs.cpus is not None and (can.cpu_count or 0) < needs.cpus:
        yield f"{needs.cpus} processors"
    if can.stores is not None:
        for address in _in_stores(row):
            if not any(name_inside(store, address) for store in can.stores):
                yield f"the store of {address}"
    yield from _unknown_names(flags, can)


def _asked(needs: Needs) -> Iterator[str]:
    yield from (f"label {label}" for label in needs.labels)
    if needs.gpu:
        yield _gpus(needs)
    if needs.memory_gb is not None:
        yield f"{needs.memory_gb:g} GB of memory"
    if needs.cpus is not None:
        yield f"{needs.cpus} processors"


def _gpus(needs: Needs) -> str:
    size = f" of {needs.gpu_memory_gb:g} GB" if needs.gpu_memory_gb is not None else ""
    return f"{needs.gpu} GPU{'s' if needs.gpu != 1 else ''}{size}"


def _is_large_enough(memory_bytes: int | None, needs: Needs) -> bool:
    return needs.gpu_memory_gb is None or (memory_bytes or 0) >= needs.gpu_memory_gb * 1e9


def _memory_gb(can: Capabilities) -> float:
    found = (can.memory_total_bytes or 0) / 1e9
    return found if can.max_memory_gb is None else min(found, can.max_memory_gb)


def _unknown_names(flags: Mapping[str, Any], can: Capabilities) -> Iterator[str]:
    known = can.known_names
    for embedder in _embedders(flags):
        if embedder not in known.embedders:
            yield f"embedder {embedder}"
    model = flags.get("model", {}).get("name")
    if model is not None and model not in known.models:
        yield f"model {model}"
    for metric in flags.get("evaluate", {}).get("metrics") or ():
        if metric not in known.metrics:
            yield f"metric {metric}"


def _in_stores(row: Mapping[str, Any]) -> list[str]:
    """Addresses within stores that a job refers to."""
    named = [row["payload_ref"] or "", *named_paths(row["flags"]).values()]
    return [text for text in named if is_of_a_store(text)]


def _embedders(flags: Mapping[str, Any]) -> list[str]:
    embedding = flags.get("embedding", {})
    return [name for name in (embedding.get("name"), *(embedding.get("also") or ())) if name]


def _readiness(row: Mapping[str, Any], node: Node) -> tuple[bool, bool]:
    """The larger, the more of what the job reads is on the node already."""
    return _has_sources(row, node), _has_weights(row, node)


def _has_sources(row: Mapping[str, Any], node: Node) -> bool:
    if node.can is None or node.can.sources is None or row["payload_ref"] is not None:
        return True  # it has not said, or the data come with the job
    return set(row["flags"].get("data", {}).get("source") or ()) <= set(node.can.sources)


def _has_weights(row: Mapping[str, Any], node: Node) -> bool:
    flags = row["flags"]
    if node.can is None or flags.get("embedding", {}).get("weights") is not None:
        return True  # the message names the checkpoint
    here = {embedder.name for embedder in node.can.embedders if embedder.weights != "absent"}
    return all(name in here for name in _embedders(flags) if is_language_model(name))
