"""Needs of a failed experiment's replay, recorded on the node where it failed and compared with this node.

Data and files are compared by content, names by registration, weights by presence; differing versions of code are
reported, and do not prevent a run.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from proteinx_pipelines.catalog.payload import open_payload
from proteinx_pipelines.catalog.source_digest import source_digest
from proteinx_pipelines.contract.failure import FailureBundle, FileNeed, ReplayNeeds, SourceNeed
from proteinx_pipelines.domain.embedders import is_language_model
from proteinx_pipelines.errors import ProteinxError
from proteinx_pipelines.execution.code_facts import code_facts
from proteinx_pipelines.execution.document import versions
from proteinx_pipelines.execution.outside_inputs import content_sha256
from proteinx_pipelines.execution.paths import allowed_path, fetched_path
from proteinx_pipelines.flags.names import unknown_names
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.pipeline.stages import named_paths
from proteinx_pipelines.settings import Settings
from proteinx_pipelines.stages.embedding.esm2_weights import cached_weights_path
from proteinx_pipelines.stages.known_names import known_here

THERE = "there"
DIFFERS = "differs"
LACKING = "lacking"
OTHER_VERSION = "other version"
"""States of a finding; only this one and `THERE` do not prevent a run."""
_UNUSABLE = (ProteinxError, OSError, ValueError)


@dataclass(frozen=True)
class Finding:
    """One thing that is needed, and its state on this node."""

    what: str
    state: str
    text: str
    """Finding in words, and what to do; for a person."""

    @property
    def is_in_the_way(self) -> bool:
        """True if a run here would fail, or would be another experiment."""
        return self.state in (DIFFERS, LACKING)


def needs_of(settings: Settings, flags: ExperimentFlags, payload_ref: str | None) -> ReplayNeeds:
    """Inputs of these flags on this node, by content; digests of missing files are None."""
    payload = (
        None
        if payload_ref is None
        else FileNeed(path=payload_ref, sha256=_digest(settings, "payload_ref", payload_ref))
    )
    files = {
        name: FileNeed(path=path, sha256=_digest(settings, name, path))
        for name, path in named_paths(flags).items()
    }
    sources = tuple(_source(settings, name, payload_ref, confined=True) for name in _sources_of(flags))
    return ReplayNeeds(sources=sources, payload=payload, files=files)


def held_against_this_node(
    settings: Settings,
    bundle: FailureBundle,
    flags: ExperimentFlags,
    *,
    payload_ref: str | None,
    confined: bool,
) -> list[Finding]:
    """Compare everything that a bundle's experiment needs with this node.

    Args:
        settings: of this node.
        bundle: failure bundle of the node where the experiment failed.
        flags: of the bundle.
        payload_ref: the data to take; that of the bundle, or another file with the same content.
        confined: true if paths are confined to WORKDIR and the data roots, as in a message.
    """
    needs = bundle.needs or ReplayNeeds(
        sources=tuple(SourceNeed(source=name) for name in _sources_of(flags)),
        payload=None if bundle.payload_ref is None else FileNeed(path=bundle.payload_ref),
        files={name: FileNeed(path=path) for name, path in named_paths(flags).items()},
    )
    return [
        *(
            []
            if needs.payload is None
            else [_payload(settings, needs.payload, payload_ref, confined=confined)]
        ),
        *(
            _data(need, _source(settings, need.source, payload_ref, confined=confined))
            for need in needs.sources
        ),
        *(_file(settings, name, need, confined=confined) for name, need in needs.files.items()),
        *_names(flags, bundle.code),
        *_weights(flags),
        *_code(bundle),
    ]


def _sources_of(flags: ExperimentFlags) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*flags.data.source, *flags.design.exclude_sources)))


def _source(settings: Settings, name: str, payload_ref: str | None, *, confined: bool) -> SourceNeed:
    try:
        path = fetched_path(settings, "payload_ref", payload_ref, confined=confined)
        database = settings.database_path if path is None else open_payload(
            path, settings.paths.payloads_dir, settings.most_data_bytes
        )  # fmt: skip
        found = source_digest(database, name)
    except _UNUSABLE:
        found = None
    return (
        SourceNeed(source=name) if found is None else SourceNeed(source=name, rows=found[0], sha256=found[1])
    )


def _digest(settings: Settings, name: str, text: str, *, confined: bool = True) -> str | None:
    """Digest of a file that a flag names; None where it is missing or must not be read."""
    try:
        path = allowed_path(settings, name, text, confined=confined)
        there = path is not None and path.exists()
        return content_sha256(path, settings.paths.store_dir) if path is not None and there else None
    except _UNUSABLE:
        return None


def _data(need: SourceNeed, here: SourceNeed) -> Finding:
    what = f"source {need.source}"
    if here.sha256 is None:
        return Finding(
            what,
            LACKING,
            "not in the data of this node; `proteinx db import` it, or name a file with --payload",
        )
    if need.sha256 is None:
        return Finding(what, THERE, f"{here.rows:,} rows; the bundle says nothing of its content")
    if need.sha256 != here.sha256:
        return Finding(
            what,
            DIFFERS,
            f"{here.rows:,} rows here, {need.rows:,} there, and another content; import that file",
        )
    return Finding(what, THERE, f"{here.rows:,} rows, the same content")


def _payload(settings: Settings, need: FileNeed, payload_ref: str | None, *, confined: bool) -> Finding:
    text = payload_ref or need.path
    here = _digest(settings, "payload_ref", text, confined=confined)
    return _compared(f"payload {text}", need.sha256, here, "copy it here and name it with --payload")


def _file(settings: Settings, name: str, need: FileNeed, *, confined: bool) -> Finding:
    here = _digest(settings, name, need.path, confined=confined)
    return _compared(
        f"{name} {need.path}", need.sha256, here, "copy it to that path, below WORKDIR or a data root"
    )


def _compared(what: str, there: str | None, here: str | None, remedy: str) -> Finding:
    if here is None:
        return Finding(what, LACKING, f"not there; {remedy}")
    if there is None:
        return Finding(what, THERE, "there; the bundle says nothing of its content")
    if there != here:
        return Finding(what, DIFFERS, f"another content ({here[:12]} here, {there[:12]} there); {remedy}")
    return Finding(what, THERE, "the same content")


def _names(flags: ExperimentFlags, code: Mapping[str, Any]) -> Iterator[Finding]:
    """Metrics, embedders and models that no plugin of this node registers."""
    plugins = ", ".join(str(found.get("module", name)) for name, found in code.get("plugins", {}).items())
    remedy = f"the node where it failed had the plugins {plugins}" if plugins else "a plugin is missing"
    for problem in unknown_names(flags.nested(), known_here()):
        yield Finding(".".join(map(str, problem.path)), LACKING, f"{problem.text}; {remedy}")


def _weights(flags: ExperimentFlags) -> Iterator[Finding]:
    name = flags.embedding.name
    if (
        not is_language_model(name) or flags.embedding.weights is not None
    ):  # a named file is already among the files
        return
    path = cached_weights_path(name)
    state = THERE if path.is_file() else LACKING
    yield Finding(f"weights {name}", state, str(path) if path.is_file() else f"put the checkpoint at {path}")


def _code(bundle: FailureBundle) -> Iterator[Finding]:
    here = versions()
    for name, there in bundle.versions.items():
        if here.get(name) != there:
            yield Finding(name, OTHER_VERSION, f"{here.get(name, 'none')} here, {there} there")
    commits = [facts.get("commit") for facts in (code_facts(), bundle.code)]
    if bundle.code and commits[0] != commits[1]:
        yield Finding("commit", OTHER_VERSION, f"{_short(commits[0])} here, {_short(commits[1])} there")


def _short(commit: Any) -> str:
    return str(commit)[:12] if commit else "unknown"
