"""The age of nodes' events when they come."""

from datetime import datetime

from proteinx_pipelines.clock import now_utc


class Lag:
    """Age of the last event of a node at its arrival, in seconds; 0 before the first, and where clocks differ so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def note(self, timestamp: str) -> None:
        """An event with this time has come; a time that cannot be read is left out."""
        try:
            age = (now_utc() - datetime.fromisoformat(timestamp)).total_seconds()
        except (ValueError, TypeError):
            return
        self.seconds = max(0.0, age)
