"""Result of one check of `proteinx doctor`, and how bad it is."""

from dataclasses import dataclass

OK, WARNING, WRONG = "ok", "warning", "wrong"


@dataclass(frozen=True)
class Finding:
    """Result of one check."""

    topic: str
    level: str
    """`ok`, `warning` (works, should be changed) or `wrong` (does not work)."""
    text: str
    """Finding in words, and what to do unless it is ok."""
