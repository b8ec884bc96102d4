"""Lists all experiments as rows: queued experiments, refused messages and local runs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from proteinx_pipelines.ledger.generation import Generation
from proteinx_pipelines.services.facts import Facts, facts_of
from proteinx_pipelines.services.line import Place
from proteinx_pipelines.services.ports import Directories, Lives
from proteinx_pipelines.services.selecting import matching, sorted_by

STATES = ("PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED", "REJECTED")
"""Possible states of a row; REJECTED is a refused message."""
MOST = 100_000
"""Largest number of rows read."""
QUEUE, HAND = "queue", "hand"
_NO_FACTS = Facts("-", "-", "-", "-", {})


@dataclass(frozen=True)
class Row:
    """One experiment or one refused message."""

    experiment_id: str | None
    """None for a refused message without a usable id."""
    generation: int | None
    attempt: int | None
    state: str
    source: str
    model: str
    embedding: str
    split: str
    changed_flags: Mapping[str, Any]
    """Other flags that are not at their defaults, by dotted name."""
    via: str
    """`queue`, or `hand` for a run of `proteinx train`."""
    whereabouts: str
    """`here`; `archived` or `removed` when its directory is not there."""
    priority: int | None = None
    position: int | None = None
    """Place in the line: 1 is next; 0 while it runs, None when it does not wait."""
    waits_for: str | None = None
    """Reason why it does not run yet; None when it does not wait."""
    eta_s: float | None = None
    """Expected seconds until it ends; None when it has ended or the time is unknown."""
    stage: str | None = None
    progress: float | None = None
    received_at: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    summary: Mapping[str, float | None] = field(default_factory=dict)
    error_code: str | None = None
    error_message: str | None = None
    flags: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Nested, defaults written out; not part of the document."""

    def document(self) -> dict[str, Any]:
        """The row as JSON types."""
        found = asdict(self)
        del found["flags"]
        return found


def list_experiments(
    lives: Lives | None,
    directories: Directories,
    places: Mapping[tuple[str, int], Place],
    *,
    state: str | None = None,
    where: Sequence[str] = (),
    sort: str | None = None,
    limit: int = 30,
    at_master: Sequence[Mapping[str, Any]] = (),
) -> list[Row]:
    """List the experiments of a place, last arrived first.

    Args:
        lives: of the queue's experiments; None where nothing has ever been on the queue.
        directories: of the place.
        places: the waiting line (`line.places`).
        state: only rows in this state.
        where: only rows that meet each of these conditions, such as `model=gp` (`selecting.matching`).
        sort: name of what to sort by, `-` in front for descending; None leaves the order of arrival.
        limit: most rows.
        at_master: documents of jobs that wait at a Master and that no node has yet.

    Raises:
        InputError: a condition or the sorting names nothing that a row has.
    """
    everything = bool(where or sort)
    rows = [*_from_queue(lives, directories, places, state, MOST if everything else limit)]
    rows += _by_hand(lives, directories)
    rows += [_waiting(job) for job in at_master]
    rows.sort(key=lambda row: row.received_at or "", reverse=True)
    if state is not None:
        rows = [row for row in rows if row.state == state]
    rows = matching(rows, where)
    return (sorted_by(rows, sort) if sort else rows)[:limit]


def _from_queue(
    lives: Lives | None, directories: Directories, places: Mapping[tuple[str, int], Place], state: str | None,
    limit: int,
) -> Iterable[Row]:  # fmt: skip
    if lives is None:
        return
    if state != "REJECTED":
        for current in lives.listing(limit, state):
            place = places.get((current.experiment_id, current.generation))
            yield row_of(current, directories.whereabouts(current.experiment_id), place)
    if state in (None, "REJECTED"):
        yield from (_refused(found) for found in lives.rejections(limit))


def row_of(current: Generation, whereabouts: str, place: Place | None = None) -> Row:
    """The row of a queued generation.

    Args:
        current: the generation.
        whereabouts: of its directory.
        place: in the waiting line; None when it has ended.
    """
    if not current.is_terminal and whereabouts == "removed":
        whereabouts = "here"  # its directory is made when it is planned
    return Row(
        experiment_id=current.experiment_id, generation=current.generation, attempt=current.attempt,
        state=current.state, **_fields(facts_of(current.flags)), via=QUEUE, whereabouts=whereabouts,
        priority=current.priority, position=place.position if place else None,
        waits_for=(place.reason or None) if place else None, eta_s=place.eta_s if place else None,
        stage=current.stage, progress=current.progress, received_at=current.received_at,
        started_at=current.started_at, finished_at=current.finished_at, summary=dict(current.summary),
        error_code=current.error_code, error_message=current.error_message, flags=current.flags,
    )  # fmt: skip


def _refused(found: Mapping[str, Any]) -> Row:
    error = found["result"].get("error") or {}
    return Row(
        experiment_id=found["experiment_id"], generation=None, attempt=None, state="REJECTED",
        **_fields(_NO_FACTS), via=QUEUE, whereabouts="here", received_at=found["received_at"],
        finished_at=found["received_at"], error_code=error.get("code"), error_message=error.get("message"),
    )  # fmt: skip


def _waiting(job: Mapping[str, Any]) -> Row:
    return Row(
        experiment_id=job["experiment_id"], generation=None, attempt=None, state="PENDING",
        **_fields(facts_of(job["flags"])), via=QUEUE, whereabouts="here", priority=job["priority"],
        position=job["position"], waits_for=job["reason"], eta_s=job["eta_s"], received_at=job["created_at"],
        flags=job["flags"],
    )  # fmt: skip


def _by_hand(lives: Lives | None, directories: Directories) -> Iterable[Row]:
    """Rows for experiments that have a directory and were never on the queue."""
    known = {each.experiment_id for each in lives.listing(MOST)} if lives is not None else set()
    for experiment_id in directories.ids():
        document = None if experiment_id in known else directories.document(experiment_id)
        if document is None or not isinstance(document.get("status"), str):
            continue
        flags, error = document.get("flags") or {}, document.get("error") or {}
        ended = document["status"] != "RUNNING"
        yield Row(
            experiment_id=experiment_id, generation=document.get("generation"), attempt=document.get("attempt"),
            state=document["status"], **_fields(facts_of(flags)), via=HAND, whereabouts="here",
            received_at=document.get("created_at"), started_at=document.get("created_at"),
            finished_at=document.get("updated_at") if ended else None, summary=document.get("summary") or {},
            error_code=error.get("code"), error_message=error.get("message"), flags=flags,
        )  # fmt: skip


def _fields(facts: Facts) -> dict[str, Any]:
    return {
        "source": facts.source, "model": facts.model, "embedding": facts.embedding, "split": facts.split,
        "changed_flags": dict(facts.changed),
    }  # fmt: skip
