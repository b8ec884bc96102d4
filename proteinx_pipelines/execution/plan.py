"""The recompute rule: which stages run, which are reused, and why. A pure function of what is known.

A stage's key is the SHA-256 of its code version, its own flags in canonical form, and the content digests of
what it reads. A stage whose key this experiment has is *reused*; one whose key the store has is *taken*; any other is
*computed*. Behind a stage that will be computed the digests are not known yet: such a stage is planned as
computed, and may still turn out to be unchanged when its turn comes (the same rule is applied then).
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from proteinx_pipelines.execution.pipeline_file import NO_KEY, PipelineFile, StageEntry
from proteinx_pipelines.execution.stages import STAGE_TABLE, Stage
from proteinx_pipelines.flags.changes import changed_flags
from proteinx_pipelines.flags.tree import ExperimentFlags, sha256_of

REUSED, TAKEN, COMPUTED = "reused", "taken", "computed"

Lookup = Callable[[str, str], StageEntry | None]
"""(stage, key) -> the entry that another experiment left in the store, or None."""


OutsideInputs = Callable[[str], Mapping[str, str]]
"""stage -> digests of what it reads besides other stages (`file:split.path` -> SHA-256)."""


@dataclass(frozen=True)
class PlannedStage:
    """What will happen to one stage, and why, in words."""

    stage: str
    action: str
    reason: str
    key: str | None
    """None while the stages before it have not run."""


@dataclass(frozen=True)
class Plan:
    """What will happen to all six stages."""

    stages: tuple[PlannedStage, ...]

    @property
    def to_compute(self) -> tuple[str, ...]:
        """The stages that a run has to contain."""
        return tuple(planned.stage for planned in self.stages if planned.action == COMPUTED)

    def document(self) -> dict[str, Any]:
        """The plan as JSON types, by stage."""
        return {planned.stage: asdict(planned) for planned in self.stages}


def stage_key(stage: Stage, flags: ExperimentFlags, inputs: Mapping[str, str]) -> str:
    """The key of a stage: SHA-256 over its version, its flags and the digests of what it reads."""
    document = {
        "stage": stage.name,
        "version": stage.version,
        "flags": flags.stage_document(stage.name),
        "inputs": dict(inputs),
    }
    return sha256_of(document)


def input_digests(
    stage: Stage, entries: Mapping[str, StageEntry], outside: OutsideInputs
) -> dict[str, str] | None:
    """Digests of what `stage` reads, or None while one of its inputs is not known."""
    found = {}
    for name, view in stage.reads.items():
        if name not in entries or entries[name].key == NO_KEY:
            return None
        found[f"{name}.{view}"] = entries[name].digests[view]
    return {**found, **outside(stage.name)}


def make_plan(
    flags: ExperimentFlags,
    previous: PipelineFile,
    *,
    rows: Mapping[str, str] | None,
    lookup: Lookup,
    outside: OutsideInputs = lambda _stage: {},
    resume: bool,
) -> Plan:
    """Decide what happens to each stage.

    Args:
        flags: of the new execution.
        previous: what this experiment has finished.
        rows: digest of the rows that the selection would choose (`{"rows": sha256}`), None if unknown.
        lookup: finds a stage that another experiment has computed.
        outside: digests of what a stage reads besides other stages (`external.outside_inputs`).
        resume: false computes everything.
    """
    known: dict[str, StageEntry] = {}
    planned = []
    for stage in STAGE_TABLE.values():
        inputs = rows if stage.name == "selection" else input_digests(stage, known, outside)
        decision, entry = _decide(
            stage, flags, inputs, previous.stages.get(stage.name), lookup, resume=resume
        )
        planned.append(decision)
        if entry is not None:
            known[stage.name] = entry
    return Plan(tuple(planned))


def _decide(
    stage: Stage, flags: ExperimentFlags, inputs: Mapping[str, str] | None, before: StageEntry | None,
    lookup: Lookup, *, resume: bool,
) -> tuple[PlannedStage, StageEntry | None]:  # fmt: skip
    if not resume:
        return PlannedStage(stage.name, COMPUTED, "`run.resume` is false", None), None
    if inputs is None:
        return PlannedStage(stage.name, COMPUTED, _why(stage, flags, None, before), None), None
    key = stage_key(stage, flags, inputs)
    if before is not None and before.key == key:
        return PlannedStage(stage.name, REUSED, "nothing it depends on has changed", key), before
    found = lookup(stage.name, key)
    if found is not None:
        origin = found.origin.get("experiment_id", "another experiment")
        return PlannedStage(stage.name, TAKEN, f"{origin} has computed the same", key), found
    return PlannedStage(stage.name, COMPUTED, _why(stage, flags, inputs, before), key), None


def _why(
    stage: Stage, flags: ExperimentFlags, inputs: Mapping[str, str] | None, before: StageEntry | None
) -> str:
    if before is None:
        return "this experiment has not computed it yet"
    reasons = []
    if before.version != stage.version:
        reasons.append(f"code version changed from {before.version} to {stage.version}")
    reasons += changed_flags(before.flags, flags.stage_document(stage.name))
    if inputs is not None:
        changed = sorted(name for name in inputs if before.inputs.get(name) != inputs[name])
        reasons += [f"`{name}` has changed" for name in changed]
    if not reasons:
        upstream = " or ".join(stage.reads) or "the database"
        reasons.append(f"{upstream} may change what it reads")
    return "; ".join(reasons)
