"""Errors that several parts raise, sorted by who can act on them.

Errors of one part alone are defined in it, as subclasses of these.

ProteinxError
├── InputError                the sender of the experiment can fix it; a retry cannot
│   ├── FlagError             flags are unknown, mistyped or out of range (`bad_flags`)
│   ├── MessageError          a queue message is not a valid experiment request (its own code)
│   ├── PathNotAllowed        a path leads outside WORKDIR and the data roots (`path_not_allowed`)
│   ├── MissingFile           a file that a message refers to is not there (`missing_file`)
│   ├── CatalogError          a file or database is not in the form of the catalog (`bad_catalog`)
│   ├── UnknownSource         a source is not in the catalog (`unknown_source`)
│   ├── UnknownScore          a source has no score of that name (`unknown_score`)
│   ├── EmptySelection        no variant matches the query (`empty_selection`)
│   ├── BadVariants           variants contradict their template, or cannot be used (`bad_variants`)
│   ├── BadEvidence           a structure or an alignment cannot be used (`bad_evidence`)
│   ├── BadSplitFile          the file that `split.path` names cannot be used (`bad_split_file`)
│   ├── EmptySplit            a part of the split has no variants (`empty_split`)
│   ├── LeakageFound          test rows were also in training (`leakage`)
│   ├── UnknownExperiment     no experiment of that id is in this WORKDIR (`unknown_experiment`)
│   ├── NoResultYet           an experiment has not ended (`no_result_yet`)
│   ├── AlreadyEnded          an experiment that has ended cannot be cancelled (`already_ended`)
│   ├── WouldFail             an experiment foreseen to fail was not sent (`would_fail`)
│   ├── RoundRefused          a step of a campaign is not possible now (`round_refused`)
│   ├── NotReplayable         an experiment has not failed, or still runs (`not_replayable`)
│   ├── SettingsError         a setting of a node or a Master has an unusable value (`bad_settings`)
│   ├── MissingWeights        a checkpoint of an embedder is not on this node (`missing_weights`)
│   ├── NotEnoughMemory       a stage would need more memory than the node allows (`not_enough_memory`)
│   ├── CheckFailed           a blocking check of a stage failed (`check_failed`)
│   └── TrainingDiverged      the loss is not finite (`training_diverged`)
├── ArtifactError             the experiment directory does not match its documents
│   ├── MissingArtifact       a file that a stage needs is not there (`missing_artifact`)
│   └── CorruptArtifact       a file's bytes are not the recorded ones (`corrupt_artifact`)
├── Stopped                   the work was stopped before its end
│   ├── Cancelled             the experiment was cancelled (`cancelled`)
│   ├── TimedOut              `run.timeout_s` passed (`timeout`)
│   └── Superseded            a newer attempt owns the directory (`superseded`)
├── MissingPackage            a package that only some users need is not installed (`missing_package`)
├── NotInTime                 a wait timed out (`not_in_time`)
└── BackendError              the node, not the experiment, has a problem; a retry may help
    ├── QueueUnavailable      Redis did not answer (`queue_unavailable`)
    │   └── WrongKeyType      a key holds an unexpected type (`queue_unavailable`)
    ├── WorkerLost            the process that ran a stage vanished (`worker_lost`)
    ├── NodeBusy              another process holds this WORKDIR (`node_busy`)
    ├── InputChanged          a file was changed while a stage read it (`input_changed`)
    └── PluginError           a plugin of this node cannot be loaded, or its code failed (`plugin_failed`)

`code` is carried by the result message. A message says what was found, what was expected, and what to do. Long
messages are cut (`bounds`), since they are written to logs, databases and results.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

from proteinx_pipelines.bounds import bounded


class ProteinxError(Exception):
    """Root of every error raised on purpose."""

    code: str = "internal"
    retryable: ClassVar[bool] = False

    def __init__(self, *args: Any) -> None:
        super().__init__(*(bounded(part) if isinstance(part, str) else part for part in args))


class InputError(ProteinxError):
    """The sender can fix it; running again with the same input cannot help."""

    code = "bad_input"


class FlagError(InputError):
    """A flag set has problems; `problems` lists all of them, one sentence each."""

    code = "bad_flags"

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(bounded(problem) for problem in problems)
        noun = "problem" if len(self.problems) == 1 else "problems"
        super().__init__(f"{len(self.problems)} flag {noun}:\n  " + "\n  ".join(self.problems))


class MessageError(InputError):
    """A queue message was refused; `code` says why in one word, `problems` in sentences.

    `experiment_id` and `message_id` are set if the message had usable ones, so that the answer can echo them;
    `message_key` identifies the message itself whenever bytes were read (see `contract.request`). `reply_to` names
    the list for the refusal if the message named a usable one.
    """

    def __init__(
        self,
        code: str,
        problems: Sequence[str],
        *,
        experiment_id: str | None = None,
        message_id: str | None = None,
        message_key: str | None = None,
        reply_to: str | None = None,
    ) -> None:
        self.code = code
        self.problems = tuple(bounded(problem) for problem in problems)
        self.experiment_id = experiment_id
        self.message_id = message_id
        self.message_key = message_key
        self.reply_to = reply_to
        super().__init__("\n".join(self.problems))


class PathNotAllowed(InputError):
    """A path in a message leads outside WORKDIR and PROTEINX_DATA_ROOTS."""

    code = "path_not_allowed"


class MissingFile(InputError):
    """A file that a message refers to is not on this node."""

    code = "missing_file"


class CatalogError(InputError):
    """A data file or database does not have the catalog's form; `problems` has one sentence per cause.

    The text names the first 50 problems, each cut if it is long: a file has millions of rows, and the text is written
    to results and databases.

    Args:
        message: what is refused.
        problems: one sentence for each cause, or each bad row.
        n_more: bad rows that `problems` does not list.
        remedy: what to do; stands at the end, where a terminal still shows it.
        rows: one sentence for each bad row, where `problems` has one for each cause.
    """

    code = "bad_catalog"
    _MOST_SHOWN = 50
    _LONGEST_SHOWN = 600  # characters of one problem; a cell may have a mebibyte

    def __init__(
        self,
        message: str,
        problems: Sequence[str] = (),
        *,
        n_more: int = 0,
        remedy: str = "",
        rows: Sequence[str] = (),
    ) -> None:
        self.problems = tuple(problems)
        self.rows = tuple(rows)
        self._has_remedy = bool(remedy)
        shown = [
            text if len(text) <= self._LONGEST_SHOWN else f"{text[: self._LONGEST_SHOWN - 3]}..."
            for text in self.problems[: self._MOST_SHOWN]
        ]
        n_more += len(self.problems) - len(shown)
        if n_more:
            shown.append(f"and {n_more:,} more")
        super().__init__("\n".join(["\n  ".join([message, *shown]), *filter(None, [remedy])]))

    @classmethod
    def as_told(cls, text: str, problems: Sequence[str]) -> "CatalogError":
        """An error that has been told elsewhere: its whole text, which names the problems already."""
        error = cls(text)
        error.problems = tuple(problems)
        return error

    def with_remedy(self, instead: str) -> "CatalogError":
        """The same error for a reader without options: where it names one (`--offset`), what to do instead follows."""
        if "--" not in str(self):
            return self
        error = CatalogError.as_told(f"{self}{' ' if self._has_remedy else chr(10)}{instead}", self.problems)
        error.rows = self.rows
        return error


class UnknownSource(InputError):
    """`data.source` names a source the catalog does not have."""

    code = "unknown_source"


class UnknownScore(InputError):
    """`data.score` names a score that a source does not have, or `data.error` a column that none has."""

    code = "unknown_score"


class EmptySelection(InputError):
    """The query is valid and selects no variant."""

    code = "empty_selection"


class BadVariants(InputError):
    """Variants contradict their template or cannot be turned into sequences and targets."""

    code = "bad_variants"


class BadEvidence(InputError):
    """A structure or an alignment cannot be read, or does not have the chain that was named."""

    code = "bad_evidence"


class BadSplitFile(InputError):
    """The file named by `split.path` is missing, or does not assign each variant to a part."""

    code = "bad_split_file"


class EmptySplit(InputError):
    """A part of the split that must have variants has none."""

    code = "empty_split"


class LeakageFound(InputError):
    """Test rows were also in training, so a score would be meaningless; the message names the checks."""

    code = "leakage"


class UnknownExperiment(InputError):
    """No experiment of that id is in this WORKDIR; the message names the nearest."""

    code = "unknown_experiment"


class NoResultYet(InputError):
    """The experiment has not ended, so it has no result."""

    code = "no_result_yet"


class AlreadyEnded(InputError):
    """The experiment has ended, so it cannot be cancelled."""

    code = "already_ended"


class WouldFail(InputError):
    """An experiment was not sent because it is foreseen to fail; `problems` has one sentence per failure."""

    code = "would_fail"

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        listed = "\n  ".join(self.problems)
        super().__init__(f"The experiment would fail, so nothing was sent:\n  {listed}")


class RoundRefused(InputError):
    """A step of a campaign is not possible now; the message says which one is."""

    code = "round_refused"


class NotReplayable(InputError):
    """The experiment has not failed, or has been replayed already; the message names the case."""

    code = "not_replayable"


class SettingsError(InputError):
    """A setting has an unusable value; the message names the setting and its origin."""

    code = "bad_settings"


class MissingWeights(InputError):
    """The checkpoint of an embedder is missing on this node; the message says where to put it."""

    code = "missing_weights"


class NotEnoughMemory(InputError):
    """A stage would need more memory than this node allows; the message gives the amount and its cause."""

    code = "not_enough_memory"


class TrainingDiverged(InputError):
    """The training loss became NaN or infinite; the message names the epoch and step."""

    code = "training_diverged"


class CheckFailed(InputError):
    """A blocking check of a stage failed; the message names the check and its finding."""

    code = "check_failed"


class ArtifactError(ProteinxError):
    """The experiment directory does not match its documents."""

    code = "bad_artifact"


class MissingArtifact(ArtifactError):
    """A file that a stage needs is not there."""

    code = "missing_artifact"


class CorruptArtifact(ArtifactError):
    """A file's bytes differ from the recorded digest."""

    code = "corrupt_artifact"


class Stopped(ProteinxError):
    """The work was stopped before its end."""

    code = "stopped"


class Cancelled(Stopped):
    """The experiment was cancelled."""

    code = "cancelled"


class TimedOut(Stopped):
    """`run.timeout_s` passed."""

    code = "timeout"


class Superseded(Stopped):
    """A newer attempt or generation owns the experiment directory; this one must not write."""

    code = "superseded"


class MissingPackage(ProteinxError):
    """An optional package is not installed; the message gives the install command."""

    code = "missing_package"


class NotInTime(ProteinxError):
    """A wait timed out; nothing was stopped."""

    code = "not_in_time"
    retryable = True


class BackendError(ProteinxError):
    """The node has a problem that is not the experiment's; a retry may help."""

    code = "backend"
    retryable = True


class QueueUnavailable(BackendError):
    """Redis did not answer; the queue is unknown, not empty."""

    code = "queue_unavailable"


class WrongKeyType(QueueUnavailable):
    """A Redis key holds an unexpected type: only that key is unusable, and its contents wait."""


class WorkerLost(BackendError):
    """The process that ran a stage ended without reporting."""

    code = "worker_lost"


class NodeBusy(BackendError):
    """Another process holds this WORKDIR; the message names it."""

    code = "node_busy"


class InputChanged(BackendError):
    """A file named by a flag changed while a stage read it: the result belongs to neither version."""

    code = "input_changed"


class PluginError(BackendError):
    """A plugin of this node cannot be loaded, or a function it registered failed; the operator must fix it."""

    code = "plugin_failed"
    retryable = False
