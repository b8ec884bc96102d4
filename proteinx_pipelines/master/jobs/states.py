"""States of a job, and which of them may follow which."""

from typing import Literal

JobState = Literal["HELD", "WAITING", "ASSIGNED", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED", "REJECTED"]
OPEN = ("HELD", "WAITING", "ASSIGNED", "RUNNING")
"""States of a job that has not ended."""
ON_A_NODE = ("ASSIGNED", "RUNNING")
"""States of a job that a node has."""
ENDED = ("SUCCEEDED", "FAILED", "CANCELLED", "REJECTED")
"""States of a job that has ended; it never leaves them."""
ALL = OPEN + ENDED
