"""The recompute rule: which stages run, which are reused, and why. A pure function of its arguments.

A stage's key is the SHA-256 of its code version, its own flags in canonical form, and the content digests of its
inputs. A stage whose key this experiment has is *reused*; one whose key the store has is *taken*; any other is
*computed*. After a stage that will be computed, the digests are not known yet: the following stages are planned as
computed, and the same rule is applied again when their turn comes, when they may turn out to be unchanged.

Code versions are arguments: they belong to the code that will compute (`execution.stages.versions` on a node), which
need not be installed where the plan is made.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from proteinx_pipelines.flags.changes import changed_flags
from proteinx_pipelines.flags.tree import ExperimentFlags, sha256_of
from proteinx_pipelines.pipeline.entries import NO_KEY, PipelineFile, StageEntry
from proteinx_pipelines.pipeline.stages import Stage, stages_of

REUSED, TAKEN, COMPUTED = "reused", "taken", "computed"

Lookup = Callable[[str, str], StageEntry | None]
"""(stage, key) -> the entry that another experiment left in the store, or None."""


OutsideInputs = Callable[[str], Mapping[str, str]]
"""Stage -> digests of its inputs other than stages (`file:split.path` -> SHA-256)."""


@dataclass(frozen=True)
class PlannedStage:
    """Planned origin of one stage, and the reason in words."""

    stage: str
    action: str
    reason: str
    key: str | None
    """None until the stages before it have run."""


@dataclass(frozen=True)
class Plan:
    """Planned origin of each stage of the experiment."""

    stages: tuple[PlannedStage, ...]

    @property
    def to_compute(self) -> tuple[str, ...]:
        """The stages that a run has to contain."""
        return tuple(planned.stage for planned in self.stages if planned.action == COMPUTED)

    def document(self) -> dict[str, Any]:
        """The plan as JSON types, by stage."""
        return {planned.stage: asdict(planned) for planned in self.stages}


def stage_key(stage: Stage, version: str, flags: ExperimentFlags, inputs: Mapping[str, str]) -> str:
    """The key of a stage: SHA-256 over its code version, its flags and the digests of what it reads."""
    document = {
        "stage": stage.name,
        "version": version,
        "flags": stage.document(flags),
        "inputs": dict(inputs),
    }
    return sha256_of(document)


def input_digests(
    stage: Stage, entries: Mapping[str, StageEntry], outside: OutsideInputs
) -> dict[str, str] | None:
    """Digests of the inputs of `stage`, or None while one of them is not known."""
    found: dict[str, str] = {}
    for name, view in stage.reads.items():
        if name not in entries or entries[name].key == NO_KEY:
            return None
        found[f"{name}.{view}"] = entries[name].digests[view]
    return {**found, **outside(stage.name)}


def make_plan(
    flags: ExperimentFlags,
    previous: PipelineFile,
    *,
    versions: Mapping[str, str],
    rows: Mapping[str, str] | None,
    lookup: Lookup,
    outside: OutsideInputs = lambda _stage: {},
    resume: bool,
) -> Plan:
    """Decide the planned origin of each stage.

    Args:
        flags: of the new execution.
        previous: what this experiment has finished.
        versions: stage -> version of the code that would compute it.
        rows: digest of the rows that the selection would choose (`{"rows": sha256}`), None if unknown.
        lookup: finds a stage that another experiment has computed.
        outside: digests of what a stage reads besides other stages (`external.outside_inputs`).
        resume: false computes everything.
    """
    known: dict[str, StageEntry] = {}
    planned = []
    for stage in stages_of(flags):
        inputs = rows if stage.own_inputs else input_digests(stage, known, outside)
        asked = _Question(stage, versions[stage.name], flags, inputs, previous.stages.get(stage.name))
        decision, entry = _decide(asked, lookup, resume=resume)
        planned.append(decision)
        if entry is not None:
            known[stage.name] = entry
    return Plan(tuple(planned))


@dataclass(frozen=True)
class _Question:
    """One stage with everything that determines its plan."""

    stage: Stage
    version: str
    flags: ExperimentFlags
    inputs: Mapping[str, str] | None
    """None while one of the stages before it has to run."""
    before: StageEntry | None


def _decide(asked: _Question, lookup: Lookup, *, resume: bool) -> tuple[PlannedStage, StageEntry | None]:
    name = asked.stage.name
    if not resume:
        return PlannedStage(name, COMPUTED, "`run.resume` is false", None), None
    if asked.inputs is None:
        return PlannedStage(name, COMPUTED, _why(asked), None), None
    key = stage_key(asked.stage, asked.version, asked.flags, asked.inputs)
    if asked.before is not None and asked.before.key == key:
        return PlannedStage(name, REUSED, "nothing it depends on has changed", key), asked.before
    found = lookup(name, key)
    if found is not None:
        origin = found.origin.get("experiment_id", "another experiment")
        return PlannedStage(name, TAKEN, f"{origin} has computed the same", key), found
    return PlannedStage(name, COMPUTED, _why(asked), key), None


def _why(asked: _Question) -> str:
    before, inputs = asked.before, asked.inputs
    if before is None:
        return "this experiment has not computed it yet"
    reasons = []
    if before.version != asked.version:
        reasons.append(f"code version changed from {before.version} to {asked.version}")
    now = asked.stage.document(asked.flags)
    no_flags: dict[str, Any] = {
        group: {} for group in before.flags.keys() | now.keys()
    }  # a group with single flags may be missing
    reasons += changed_flags({**no_flags, **before.flags}, {**no_flags, **now})
    if inputs is not None:
        changed = sorted(name for name in inputs if before.inputs.get(name) != inputs[name])
        reasons += [f"`{name}` has changed" for name in changed]
    if not reasons:
        upstream = " or ".join(asked.stage.reads) or "the database"
        reasons.append(f"{upstream} may change what it reads")
    return "; ".join(reasons)
