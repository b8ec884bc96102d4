"""One thing that `proteinx doctor` has looked at, and how bad it is."""

from dataclasses import dataclass

OK, WARNING, WRONG = "ok", "warning", "wrong"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    topic: str
    level: str
    """`ok`, `warning` (works, should be changed) or `wrong` (does not work)."""
    text: str
    """What was found, and what to do unless it is ok."""
