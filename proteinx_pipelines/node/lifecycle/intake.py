"""Intake: from the Master's list into `state.db`, and from there to the list of what may start.

A message is claimed, made durable in one transaction together with the decision about it, and only then acknowledged.
What may start is read from the rows, never from the message: a crash at any point repeats a step and loses none.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.contract.request import ExperimentRequest, message_key_of, parse_message
from proteinx_pipelines.contract.result import rejection
from proteinx_pipelines.domain.known_names import KnownNames
from proteinx_pipelines.errors import FlagError, MessageError, PluginError, ProteinxError, WrongKeyType
from proteinx_pipelines.execution.node_bounds import refuse_beyond_machine
from proteinx_pipelines.execution.pulling import newest_elsewhere
from proteinx_pipelines.files.references import References
from proteinx_pipelines.ledger.arrivals import AlreadyKnown
from proteinx_pipelines.ledger.generation import TERMINAL, Generation
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.node.lifecycle.planning import node_machine
from proteinx_pipelines.node.lifecycle.suspects import MOST_DEATHS, Suspects
from proteinx_pipelines.node.talking.connections import message_claims
from proteinx_pipelines.node.talking.outbox import deliver_results
from proteinx_pipelines.node.talking.status import publish_state
from proteinx_pipelines.pipeline.stages import named_paths
from proteinx_pipelines.queue.claims import MessageClaims
from proteinx_pipelines.queue.queue import QueueClient
from proteinx_pipelines.settings import Settings
from proteinx_pipelines.stages.known_names import known_here

log = logging.getLogger(__name__)
BATCH = 50
"""Most messages taken in at once."""
BATCH_BYTES = 8 * 2**20
"""Size of claimed messages at which no more are claimed before these are decided."""
KEPT_BYTES = 65_536
"""Length of a refused message that is kept for a person to read."""


@dataclass(frozen=True)
class Intake:
    """Takes messages in."""

    settings: Settings
    state: Ledger
    queue: QueueClient

    @cached_property
    def claims(self) -> MessageClaims:
        """Registry of which WORKDIR has taken which message, shared by all nodes on the list."""
        return message_claims(self.settings, self.state.workdir_id())

    @cached_property
    def suspects(self) -> Suspects:
        """Record of the messages that have ended this process while being decided."""
        return Suspects(self.settings.paths.looking)

    @cached_property
    def waiting(self) -> set[str]:
        """SHA-256 of the messages that stay claimed until this node is mended; `recover` looks at them again."""
        return set()

    def recover(self) -> int:
        """Take in messages left claimed by an earlier process or a broken connection; returns how many.

        Includes those that the node of this WORKDIR had claimed under another name, and those handed on to it.

        A message decided already is acknowledged only: it is the same copy, not a new request of the Master. Those come
        first, since results wait for them (`still_claimed`). Has to follow every error, before anything is claimed.
        """
        for source in self.claims.claimed_before(self.state.former_names(self.settings.node_name)):
            while self.queue.dequeue_from(source) is not None:
                log.warning("Took over a claimed message from %s.", source)
        left = self.queue.claimed()
        copies, decided = _equal_copies(left), self.state.decided_copies()
        self.waiting.clear()
        for key in [key for key, equal in copies.items() if decided.get(key, 0) >= len(equal)]:
            for raw in copies.pop(key):
                self.queue.ack(raw)
        if acknowledged := decided.keys() - copies.keys():
            self.state.forget_decided({key: decided[key] for key in acknowledged})
            deliver_results(self.settings, self.state)
        self._take(dict(sorted(copies.items(), key=lambda found: found[0] not in decided)), decided)
        return len(left) + self._take_handed_on()

    def _take_handed_on(self) -> int:
        """Take in messages handed on by other nodes; returns how many. Each is a message that was sent once more."""
        taken = 0
        for source in self.claims.handed_on():
            while claimed := self._claim(partial(self.queue.dequeue_from, source), BATCH):
                self._take_claimed(claimed)
                taken += len(claimed)
        return taken

    def take_waiting(self) -> int:
        """Take in waiting messages, up to `BATCH` and while there is room; returns how many."""
        claimed = self._claim(partial(self.queue.dequeue, 0), min(BATCH, self._room()))
        self._take_claimed(claimed)
        return len(claimed)

    def wait(self, seconds: float) -> bool:
        """Wait for one message, or for room; true if a message came."""
        if self._room() <= 0:
            time.sleep(seconds)
            return False
        raw = self.queue.dequeue(seconds)
        if raw is None:
            return False
        self._take_claimed([raw])
        return True

    def _claim(self, claim: Callable[[], bytes | None], most: int) -> list[bytes]:
        """Claim up to `most` messages, fewer if they are large: they are in memory at once."""
        claimed = list[bytes]()
        size = 0
        while len(claimed) < most and size < BATCH_BYTES and (raw := claim()) is not None:
            claimed.append(raw)
            size += len(raw)
        return claimed

    def _take_claimed(self, claimed: Sequence[bytes]) -> None:
        """Take in what was just claimed. A copy of a message that waits for this node to be mended waits beside it."""
        copies = _equal_copies(claimed)
        self._take({key: equal for key, equal in copies.items() if key not in self.waiting}, {})

    def _take(self, copies: Mapping[str, Sequence[bytes]], decided: Mapping[str, int]) -> None:
        """Decide about claimed messages, acknowledge them, and only then send the answers.

        Redis does not tell two equal copies apart, and a crash leaves the claimed list and the notes of what is
        decided. So no note of an acknowledged copy may stand beside a claimed copy that is equal and not decided: that
        one would be acknowledged without an answer. Equal copies are all decided before the first is acknowledged, and
        the notes are gone before anything else is claimed. One transaction takes away those of up to `BATCH` messages,
        since each has to reach the disk.

        Args:
            copies: SHA-256 of a message -> its copies, all that are on the claimed list.
            decided: number of copies of a message that are decided.
        """
        found = list(copies.items())
        for first in range(0, len(found), BATCH):
            acknowledged = dict[str, int]()
            for key, equal in found[first : first + BATCH]:
                if all(self._decide(key, raw) for raw in equal[decided.get(key, 0) :]):
                    for raw in equal:
                        self.queue.ack(raw)
                    acknowledged[key] = len(equal)
                else:
                    self.waiting.add(key)
            if acknowledged:
                self.state.forget_decided(acknowledged)
            deliver_results(self.settings, self.state)

    def _room(self) -> int:
        open_now = sum(count for state, count in self.state.counts().items() if state not in TERMINAL)
        return self.settings.take_ahead - open_now

    def _decide(self, key: str, raw: bytes) -> bool:
        """Decide about one copy of a message; false if it cannot be decided because this node is broken.

        It stays claimed then and is tried again: the sender gets no answer that the message is bad.
        """
        try:
            with self.suspects.looking_at(key) as deaths:
                if deaths >= MOST_DEATHS:
                    self._refuse(raw, _deadly(raw, deaths))
                else:
                    self.ingest(raw)
        except PluginError as error:
            log.error("A message waits until the node is mended: %s", error)
            return False
        except WrongKeyType as error:
            log.error("A message waits: %s", error)
            return False
        return True

    def ingest(self, raw: bytes) -> None:
        """Decide about one message and make the decision durable. The same message again changes nothing.

        A message that another WORKDIR has taken before is handed on to it: that WORKDIR knows the answer.

        Raises:
            StateError: `state.db` cannot be written; the message has to stay claimed.
            QueueUnavailable: Redis cannot say who has taken the message; it has to stay claimed.
            PluginError: a plugin on this node is broken; the message has to stay claimed.
        """
        try:
            request = self._read(raw)
            if self.state.answered(request.message_key) is None:
                if self._is_elsewhere(request.message_key, raw):
                    return
                self._check_paths(request)
                _check_machine(request)
                self._accept(request, raw)
                return
        except MessageError as error:
            key = error.message_key or message_key_of(raw)
            if self.state.answered(key) is not None or not self._is_elsewhere(key, raw):
                self._refuse(raw, error)
            return
        self.state.answer_again(request.message_key, raw)

    def _is_elsewhere(self, message_key: str, raw: bytes) -> bool:
        """Hand a message on to the WORKDIR that has taken it before; true if there is one."""
        holder = self.claims.claim(message_key)
        if holder is None:
            return False
        log.warning("A message that WORKDIR %s has taken before came here; it is handed on.", holder)
        self.claims.hand_on(holder, raw)
        return True

    def _read(self, raw: bytes) -> ExperimentRequest:
        """Parse a message; an unforeseen error refuses it too, so that one message cannot stop all others."""
        try:
            return parse_message(raw, _known_names(raw))
        except ProteinxError:
            raise
        except Exception as error:
            log.exception("A message could not be read.")
            problem = f"This node failed to read the message ({type(error).__name__}); its log says more."
            raise MessageError("internal", [problem], message_key=message_key_of(raw)) from error

    def _check_paths(self, request: ExperimentRequest) -> None:
        """Refuse paths outside WORKDIR and the data roots before anything is stored."""
        named = named_paths(request.flags)
        if request.payload_ref is not None:
            named = {"payload_ref": request.payload_ref, **named}
        references = References.of(self.settings)
        problems, codes = [], []
        for name, text in named.items():
            try:
                references.resolve(text, name=name)
            except ProteinxError as error:
                problems.append(str(error))
                codes.append(error.code)
        if problems:
            raise _refusal(request, codes[0], problems)

    def _accept(self, request: ExperimentRequest, raw: bytes) -> None:
        try:
            current = self.state.accept(
                experiment_id=request.experiment_id,
                message_key=request.message_key,
                message_id=request.message_id,
                priority=request.priority,
                payload_ref=request.payload_ref,
                flags=request.flags.nested(),
                raw=raw,
                reply_to=request.reply_to,
                may_repeat=request.flags.run.allow_duplicate,
                elsewhere=self._elsewhere(request),
            )
        except AlreadyKnown as known:
            raise _refusal(request, "duplicate", [_known_already(known.latest)]) from None
        publish_state(self.settings, current, "accepted")

    def _elsewhere(self, request: ExperimentRequest) -> int:
        """Newest generation that another node has finished of an experiment that goes on here; 0 without one."""
        is_asked = request.flags.run.allow_duplicate and self.settings.store is not None
        if not is_asked or self.state.latest(request.experiment_id) is not None:
            return 0
        return newest_elsewhere(self.settings, request.experiment_id)

    def _refuse(self, raw: bytes, error: MessageError) -> None:
        """Store and send a rejection; a known message key is answered with the stored result."""
        answer = rejection(raw, error, node=self.settings.node_name, received_at=timestamp())
        log.warning("Refused a message (%s): %s", error.code, error)
        self.state.refuse(
            message_key=answer.message_key,
            experiment_id=error.experiment_id,
            result_id=answer.result.result_id,
            payload=answer.result.to_json(),
            raw=raw,
            kept=raw[:KEPT_BYTES],
            reply_to=error.reply_to,
        )


def _equal_copies(claimed: Sequence[bytes]) -> dict[str, list[bytes]]:
    """SHA-256 of a message's bytes -> its copies, in the order of the first one."""
    copies = dict[str, list[bytes]]()
    for raw in claimed:
        copies.setdefault(hashlib.sha256(raw).hexdigest(), []).append(raw)
    return copies


def _known_names(raw: bytes) -> KnownNames:
    """Names that this node can compute with; with a broken plugin, a malformed message is refused all the same."""
    try:
        return known_here()
    except PluginError:
        parse_message(raw)
        raise


def _check_machine(request: ExperimentRequest) -> None:
    """Refuse flags that ask for more than this node's machine has, before anything starts for them."""
    try:
        refuse_beyond_machine(request.flags, node_machine())
    except FlagError as error:
        raise _refusal(request, error.code, list(error.problems)) from error


def _refusal(request: ExperimentRequest, code: str, problems: list[str]) -> MessageError:
    return MessageError(
        code,
        problems,
        experiment_id=request.experiment_id,
        message_id=request.message_id,
        message_key=request.message_key,
        reply_to=request.reply_to,
    )


def _deadly(raw: bytes, deaths: int) -> MessageError:
    problem = f"This node ended {deaths} times while it looked at the message; its log says more."
    return MessageError("internal", [problem], message_key=message_key_of(raw))


def _known_already(latest: Generation) -> str:
    return (
        f"`experiment_id` {latest.experiment_id!r} is known: generation {latest.generation} is {latest.state}. "
        "Choose another id, or set `run.allow_duplicate` to start a new generation."
    )
