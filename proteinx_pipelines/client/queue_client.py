"""The client of a queue: experiments straight to the nodes of one Redis list, without a Master."""

import json
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from proteinx_pipelines.client.redis_link import RedisLink
from proteinx_pipelines.contract.capabilities import Capabilities
from proteinx_pipelines.contract.heartbeat import Heartbeat
from proteinx_pipelines.contract.keys import DEFAULT_QUEUE, DEFAULT_RESULTS, QueueKeys
from proteinx_pipelines.contract.request import REPLY_NAME, SCHEMA_VERSION, message_of, readable_id
from proteinx_pipelines.contract.result import ResultMessage
from proteinx_pipelines.contract.status import Status
from proteinx_pipelines.errors import InputError, NotInTime
from proteinx_pipelines.flags.parsing import parse_flags

LOOK_S = 1.0
"""Longest interval between two reads of the status, in seconds."""


@dataclass(frozen=True)
class Submission:
    """A sent experiment."""

    experiment_id: str
    message_id: str
    """Name of the message; its result carries the same name."""
    message: bytes
    """The message as it was sent. Sending the same bytes again is safe: it is answered, not run again."""


@dataclass(frozen=True)
class NodeView:
    """A running node."""

    heartbeat: Heartbeat
    capabilities: Capabilities | None
    """None while a plugin of the node is broken, and for a node of release 0.1.0."""


class QueueClient:
    """Client of the nodes of one queue, without a Master. `Client("redis://...")` gives one.

    Not thread-safe: make one per thread.

    Args:
        url: where the nodes take their messages from, `redis://...`; REDIS_URL when None.
        queue: name of the list of messages.
        results: name of the list of results.
        name: of this sender, 1 to 100 letters, digits, `.`, `_`, `-`. Results go to a list of its own, kept for 7 days:
            a client that is started again under the same name finds what came meanwhile. Made up when None.

    Raises:
        InputError: there is no address, or the name cannot be one.
        QueueUnavailable: the address is not one of Redis.
        MissingPackage: the package that the address needs is not installed; the message names it.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        queue: str = DEFAULT_QUEUE,
        results: str = DEFAULT_RESULTS,
        name: str | None = None,
    ) -> None:
        address = url or os.environ.get("REDIS_URL")
        if not address:
            raise InputError("No address: give one, such as redis://node-1:6379/0, or set REDIS_URL.")
        self.name = name or f"client-{secrets.token_hex(12)}"
        if not re.fullmatch(REPLY_NAME, self.name):
            raise InputError(
                f"`name` is {self.name!r}; 1 to 100 letters, digits, `.`, `_`, `-` are expected."
            )
        self._link = RedisLink(address, QueueKeys(queue, results))
        self._came: dict[str, ResultMessage] = {}
        """Results that arrived while another one was awaited, by the message they answer."""

    def submit(
        self,
        flags: Mapping[str, Any] | str,
        *,
        experiment_id: str | None = None,
        payload_ref: str | None = None,
        priority: int = 0,
        message_id: str | None = None,
    ) -> Submission:
        """Send an experiment; returns at once.

        Args:
            flags: nested, dotted, or text (JSON, or a pair like `train.lr=0.01` a line).
            experiment_id: made from source, model and time when None.
            payload_ref: data on the node to take instead of its catalog.
            priority: -100 to 100; higher goes first.
            message_id: name of the message, for safe re-sending; made up when None.

        Raises:
            FlagError: the flags have problems; all of them are named. Which metrics, embedders and models there are is
                for the node to say: a name that it does not have is answered with a REJECTED result.
            MessageError: the id, the payload or the priority cannot be used; all problems at once.
            QueueUnavailable: Redis did not answer; send again.
        """
        parsed = parse_flags(flags)
        request = message_of(
            {
                "experiment_id": experiment_id or readable_id(parsed),
                "flags": parsed.nested(),
                "payload_ref": payload_ref,
                "message_id": message_id or f"{self.name}-{secrets.token_hex(8)}",
                "reply_to": self.name,
                "priority": priority,
                "schema_version": SCHEMA_VERSION,
            }
        )
        sent = Submission(request.experiment_id, str(request.message_id), request.raw)
        self._link.send(sent.message)
        return sent

    def wait(
        self,
        submission: Submission,
        timeout_s: float | None = None,
        on_progress: Callable[[Status], object] | None = None,
    ) -> ResultMessage:
        """Wait for the result of an experiment that this client has sent.

        Args:
            submission: what `submit` gave.
            timeout_s: longest wait, in seconds; None waits for ever. The experiment goes on either way.
            on_progress: called with the status whenever it has changed, at most once a second.

        Raises:
            NotInTime: `timeout_s` passed; wait again, or cancel it.
            QueueUnavailable: Redis did not answer; wait again.
        """
        end = float("inf") if timeout_s is None else time.monotonic() + timeout_s
        shown: Status | None = None
        while submission.message_id not in self._came:
            left = end - time.monotonic()
            if left <= 0:
                raise NotInTime(self._not_in_time(submission, timeout_s or 0.0))
            if on_progress is not None and (status := self.status(submission.experiment_id)) not in (
                None,
                shown,
            ):
                shown = status
                on_progress(shown)
            self._take(min(LOOK_S, left))
        return self._came.pop(submission.message_id)

    def run(
        self,
        flags: Mapping[str, Any] | str,
        *,
        timeout_s: float | None = None,
        on_progress: Callable[[Status], object] | None = None,
        **message: Any,
    ) -> ResultMessage:
        """Send an experiment and wait for its result: `submit` and `wait`, with their arguments and errors."""
        return self.wait(self.submit(flags, **message), timeout_s, on_progress)

    def results(self, wait_s: float = 0.0) -> Iterator[ResultMessage]:
        """Yield results that nothing has waited for, until none arrives for `wait_s` seconds."""
        while self._came or self._take(wait_s):
            yield self._came.pop(next(iter(self._came)))

    def status(self, experiment_id: str) -> Status | None:
        """Status of an experiment; None where no node knows it (yet), and 30 days after its end."""
        fields = self._link.status(experiment_id)
        return Status.from_hash(fields) if fields else None

    def cancel(self, experiment_id: str) -> None:
        """Ask the nodes to cancel an experiment; its result says whether it came in time.

        Raises:
            MessageError: this is not the id of an experiment.
        """
        self._link.cancel(experiment_id)

    def nodes(self) -> dict[str, NodeView]:
        """The running nodes by name: their current work and their capabilities."""
        heartbeats, capabilities = self._link.living()
        return {
            name: NodeView(
                Heartbeat.model_validate_json(text),
                Capabilities.model_validate_json(capabilities[name]) if name in capabilities else None,
            )
            for name, text in heartbeats.items()
        }

    def close(self) -> None:
        """Close the connections."""
        self._link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take(self, wait_s: float) -> bool:
        """Take one result off this client's list; returns True if there was one."""
        raw = self._link.result(self.name, wait_s)
        if raw is None:
            return False
        result = ResultMessage.model_validate(json.loads(raw))
        self._came[result.message_id or result.result_id] = result
        return True

    def _not_in_time(self, submission: Submission, timeout_s: float) -> str:
        status = self.status(submission.experiment_id)
        if status is not None:
            standing = f"it is {status.state}, stage {status.stage}, on node {status.node}"
        elif self.nodes():
            standing = "no node has taken it yet"
        else:
            standing = "no node listens on this queue now; the message waits for one"
        return f"{submission.experiment_id} has no result after {timeout_s:g} s: {standing}."
