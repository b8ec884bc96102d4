"""Training code of one's own as a job: heartbeat, config, metrics, log, files; cancelled from the page.

A thread of its own reports every few seconds. What cannot be sent now is kept and sent later, in order; training never
waits for the Master.
"""

import functools
import hashlib
import inspect
import secrets
import threading
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from proteinx_pipelines.client import calls
from proteinx_pipelines.errors import Cancelled, ProteinxError

if TYPE_CHECKING:
    from proteinx_pipelines.client.client import Client

BEAT_S = 5.0
"""Seconds between two reports."""
MOST_KEPT = 100_000
"""Log lines and metric values that are kept while the Master does not answer; the oldest ones go first."""
AT_ONCE = 1000


class Tracking:
    """One run of your own code."""

    def __init__(self, client: "Client", job_id: str) -> None:
        self._client = client
        self.job_id = job_id
        """Id of its job."""
        self._lock = threading.Lock()
        self._sender = secrets.token_hex(8)
        self._kept: dict[str, list[dict[str, Any]]] = {"logs": [], "metrics": []}
        self._sent = {"logs": 0, "metrics": 0}
        """Number of the first kept line: the Master keeps a batch that is sent twice once."""
        self._beat: dict[str, Any] = {}
        self._summary: dict[str, float] = {}
        self._step = 0
        self._is_cancelled = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._report_on, name="proteinx-run", daemon=True)

    @classmethod
    def begin(cls, client: "Client", name: str, config: dict[str, Any], group: str | None) -> Self:
        """Begin a run; its job is RUNNING then."""
        body = {"name": name, "config": config, "group": group}
        return cls(client, str(client.ask(calls.document("/api/runs", "POST", body))["job_id"]))

    def log(self, *texts: str, step: int | None = None, **metrics: float) -> None:
        """Keep lines of text, and metric values at a step (counted on by itself when None).

        Raises:
            Cancelled: somebody has cancelled the run.
        """
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        with self._lock:
            self._keep("logs", [{"time": now, "text": text} for text in texts])
            if metrics:
                self._step = self._step + 1 if step is None else step
                found = [
                    {"name": name, "value": float(value), "step": self._step, "time": now}
                    for name, value in metrics.items()
                ]
                self._keep("metrics", found)
                self._summary |= {name: float(value) for name, value in metrics.items()}
        self.check()

    def progress(self, fraction: float, note: str | None = None) -> None:
        """Say how much is done, 0 to 1.

        Raises:
            Cancelled: somebody has cancelled the run.
        """
        with self._lock:
            self._beat = {"progress": min(1.0, max(0.0, fraction)), **({"note": note} if note else {})}
        self.check()

    def check(self) -> None:
        """Raise `Cancelled` if somebody has cancelled the run."""
        if self._is_cancelled:
            raise Cancelled("The run was cancelled at the Master.")

    def save(self, file: Path | str, path: str | None = None) -> None:
        """Upload a file to the job.

        Args:
            file: the file here.
            path: its path there; its name when None.
        """
        content = Path(file).read_bytes()
        headers = {"upload-offset": "0", "upload-sha256": hashlib.sha256(content).hexdigest()}
        where = calls.artifact_path(self.job_id, path or Path(file).name)
        self._client.ask(
            calls.Call(
                "PUT", where, lambda _found: None, content=calls.Content.of(Path(file)), headers=headers
            )
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        self._ended.set()
        self._thread.join(timeout=30)
        state = "SUCCEEDED" if kind is None else "CANCELLED" if kind is Cancelled else "FAILED"
        text = None
        if error is not None:
            text = "".join(traceback.format_exception_only(error)).strip()
            trace = "".join(traceback.format_exception(error))
            self._keep("logs", [{"time": datetime.now(UTC).isoformat(), "text": trace}])
        self._send()
        body = {"state": state, "summary": self._summary, "error": text}
        self._client.ask(calls.document(f"/api/runs/{self.job_id}/end", "POST", body))

    # ------------------------------------------------------------------ the reporting thread
    def _report_on(self) -> None:
        self._send()
        while not self._ended.wait(BEAT_S):
            self._send()

    def _send(self) -> None:
        """Send what there is; what fails is kept for the next time."""
        try:
            with self._lock:
                beat = {**self._beat, "summary": dict(self._summary)}
            answer = self._client.ask(calls.document(f"/api/runs/{self.job_id}/heartbeat", "POST", beat))
            self._is_cancelled = self._is_cancelled or bool(answer.get("cancel_requested"))
            for kind in self._kept:
                self._send_lines(kind)
        except ProteinxError:
            return

    def _keep(self, kind: str, lines: list[dict[str, Any]]) -> None:
        kept = self._kept[kind]
        kept += lines
        too_many = max(0, len(kept) - MOST_KEPT)
        self._sent[kind] += too_many
        del kept[:too_many]

    def _send_lines(self, kind: str) -> None:
        while True:
            with self._lock:
                batch, first = self._kept[kind][:AT_ONCE], self._sent[kind]
            if not batch:
                return
            body = {"sender": self._sender, "first": first, "lines": batch}
            self._client.ask(calls.document(f"/api/jobs/{self.job_id}/{kind}", "POST", body))
            with self._lock:
                sent = max(0, first + len(batch) - self._sent[kind])  # some may have been given up meanwhile
                del self._kept[kind][:sent]
                self._sent[kind] += sent


def decorator(
    client: "Client", name: str | None, config: Mapping[str, Any]
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make each call of a function a run: `f(run, lr=0.1)` is called as `f(lr=0.1)`."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def tracked(*arguments: Any, **named: Any) -> Any:
            bound = signature.bind(None, *arguments, **named)
            bound.apply_defaults()
            given = dict(list(bound.arguments.items())[1:])
            with client.track(name or function.__name__, {**config, **given}) as run:
                return function(run, *arguments, **named)

        return tracked

    return decorate
