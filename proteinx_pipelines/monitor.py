"""Interface between a running stage and its caller: progress, metrics, events and cancellation.

Stages depend only on this class. The one here does nothing, which suits scripts and tests; that of
`execution.monitor` writes `metrics/metrics.jsonl`, `logs/events/`, the status hash and the heartbeat, and stops a
cancelled training.
"""

from typing import Any


class StageMonitor:
    """Monitor that does nothing. Every method may be called from the training loop, so it must be cheap."""

    def progress(self, done: float, total: float, note: str = "") -> None:
        """Report `done` of `total` units of work (any unit; both >= 0).

        Raises:
            Stopped: the experiment was cancelled, timed out or superseded. Do not catch it: the stage must end.
        """

    def metric(
        self,
        name: str,
        value: float,
        *,
        step: int | None = None,
        epoch: int | None = None,
        fold: int | None = None,
    ) -> None:
        """Record one value of a metric named like `train/loss` or `val/spearman`."""

    def histogram(
        self,
        name: str,
        counts: list[int],
        edges: list[float],
        *,
        step: int | None = None,
        fold: int | None = None,
    ) -> None:
        """Record a histogram: `len(edges) == len(counts) + 1`."""

    def event(self, name: str, **payload: Any) -> None:
        """Record something worth a line in the log: `epoch_finished`, `checkpoint_saved`, ..."""
