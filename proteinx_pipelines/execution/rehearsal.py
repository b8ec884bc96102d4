"""Finds likely failures of an experiment before it is sent: tries the cheap stages and keeps nothing.

Selection, transform and split of a usual catalog take less than a second. Problems that only training would show are
not found here; inputs that cannot be read (another node's catalog, a slow method) are skipped silently.
"""

import logging
import urllib.error
import urllib.request
from dataclasses import dataclass, field

from proteinx_pipelines.errors import BackendError, InputError
from proteinx_pipelines.execution.paths import allowed_path, is_fetched
from proteinx_pipelines.flags.names import refuse_unknown_names
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.pipeline.stages import named_paths
from proteinx_pipelines.settings import Settings

log = logging.getLogger(__name__)
MOST_ROWS = 50_000
"""Selected rows up to which transform and split are tried."""
MOST_CLUSTERED = 3_000
"""Selected rows up to which a split that compares all sequences with one another is tried."""
MOST_BYTES = 100_000_000
"""Size of a payload up to which it is read."""
_REACH_S = 3.0
_SLOW_METHODS = ("clusters",)


@dataclass(frozen=True)
class Problem:
    """A cause for which an experiment would fail."""

    code: str
    """Code in the result: `unknown_source`, `empty_split`, ..."""
    text: str


@dataclass
class Rehearsal:
    """Outcome of trying an experiment."""

    problems: list[Problem] = field(default_factory=list)
    """Problems, each with the words of the result."""
    rows_matched: dict[str, str] = field(default_factory=dict)
    """Flag that names a file -> number of variants found in it, in words."""


def rehearse(settings: Settings, flags: ExperimentFlags, payload_ref: str | None) -> Rehearsal:
    """Try the cheap stages of an experiment.

    Args:
        settings: of the node that would run it.
        flags: of the experiment.
        payload_ref: data file, as in the message.
    """
    problems: list[Problem] = []
    rows_matched: dict[str, str] = {}
    for attempt in (_names, _paths, _weights, _data):
        try:
            rows_matched |= attempt(settings, flags, payload_ref) or {}
        except InputError as error:
            problems.append(Problem(error.code, str(error)))
        except BackendError as error:
            log.info("Not foreseen: %s", error)
        except Exception:  # a stage that cannot be tried is no reason against sending the experiment
            log.info("Not foreseen: a stage could not be tried.", exc_info=True)
    return Rehearsal(list(dict.fromkeys(problems)), rows_matched)


def _names(_settings: Settings, flags: ExperimentFlags, _payload_ref: str | None) -> None:
    """Refuse names of metrics, models and embedders that this node does not have."""
    from proteinx_pipelines.stages.known_names import known_here

    refuse_unknown_names(flags, known_here())


def _paths(settings: Settings, flags: ExperimentFlags, payload_ref: str | None) -> None:
    """Refuse paths that the node's intake refuses."""
    named = {**({"payload_ref": payload_ref} if payload_ref else {}), **named_paths(flags)}
    for name, text in named.items():
        allowed_path(settings, name, text)


def _weights(settings: Settings, flags: ExperimentFlags, _payload_ref: str | None) -> None:
    """Refuse a checkpoint that is not there and cannot be fetched."""
    from proteinx_pipelines.domain.embedders import is_language_model

    if is_language_model(flags.embedding.name):
        _refuse_missing(settings, flags.embedding.name, "embedding.weights", flags.embedding.weights)
    if flags.model.name == "finetune":
        _refuse_missing(settings, flags.model.backbone, "model.weights", flags.model.weights)


def _refuse_missing(settings: Settings, name: str, flag: str, text: str | None) -> None:
    from proteinx_pipelines.errors import MissingWeights
    from proteinx_pipelines.stages.embedding.esm2_weights import FAIR_ESM_URL, cached_weights_path
    from proteinx_pipelines.stages.embedding.model_folder import is_model_folder

    given = allowed_path(settings, flag, text)
    if is_fetched(settings, text):
        return  # the stage fetches it
    if given is not None and not given.is_file() and not is_model_folder(given):
        raise MissingWeights(f"`{flag}` is {str(given)!r}, and there is no such file on this node.")
    cached = cached_weights_path(name)
    if given is None and not cached.is_file() and not _can_be_fetched(f"{FAIR_ESM_URL}/{name}.pt"):
        raise MissingWeights(
            f"The checkpoint of {name} is not on this node, and {FAIR_ESM_URL} does not answer. Put it at {cached}, "
            f"or name a file in `{flag}`."
        )


def _can_be_fetched(url: str) -> bool:
    """True if a server answers for a file; a proxy that refuses the query may still give the file."""
    try:
        request = urllib.request.Request(url, method="HEAD")  # noqa: S310  # a constant of this package
        with urllib.request.urlopen(request, timeout=_REACH_S):  # noqa: S310
            return True
    except urllib.error.HTTPError as error:
        return error.code not in (404, 410)
    except OSError:
        return False


def _data(settings: Settings, flags: ExperimentFlags, payload_ref: str | None) -> dict[str, str]:
    """Select, transform and split, as the stages would; returns how many rows match the files that flags name."""
    from proteinx_pipelines.catalog.payload import open_payload
    from proteinx_pipelines.execution.stages import split_rows_matched, vector_rows_matched
    from proteinx_pipelines.stages.embedding.from_file import vectors_from_file
    from proteinx_pipelines.stages.selection import select_variants
    from proteinx_pipelines.stages.split.assign import assign_split
    from proteinx_pipelines.stages.transform.tasks import transformed

    if any(is_fetched(settings, text) for text in (payload_ref, *named_paths(flags).values())):
        return {}  # the stages fetch them
    database = settings.database_path
    payload = allowed_path(settings, "payload_ref", payload_ref)
    if payload is not None:
        if payload.is_file() and payload.stat().st_size > MOST_BYTES:
            return {}
        database = open_payload(payload, settings.paths.payloads_dir)
    elif not database.is_file():
        return {}
    selection = select_variants(database, flags.data, excluded=flags.design.exclude_sources)
    most = MOST_CLUSTERED if flags.split.method in _SLOW_METHODS else MOST_ROWS
    if selection.rows.num_rows > most:
        return {}
    variants = transformed(selection, flags)
    file = allowed_path(settings, "split.path", flags.split.path)
    matched = {}
    split = assign_split(variants, flags.split, file=file, own=flags.ext.get("split"))
    if "matched" in split.info:
        matched["split.path"] = split_rows_matched(split.info)
    vectors = allowed_path(settings, "embedding.path", flags.embedding.path)
    if vectors is not None and vectors.is_file() and vectors.stat().st_size <= MOST_BYTES:
        matched["embedding.path"] = vector_rows_matched(
            vectors_from_file(variants, vectors)[1], variants.n_variants
        )
    return matched
