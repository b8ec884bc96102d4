"""When to stop a campaign: what the last plates brought, and what the next one promises, in sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Advice:
    """Advice with its reasons."""

    stop: bool
    """True if neither the last plate nor the next one promises more."""
    headline: str
    reasons: tuple[str, ...]


def advice(judged: Sequence[Mapping[str, Any]], coming: Mapping[str, Any] | None) -> Advice:
    """Weigh the measured rounds against the next plate.

    Stopping is advised when the last plate had no variant better than the best before it, and the next plate is
    expected to have less than one.

    Args:
        judged: documents of the measured rounds, oldest first.
        coming: `report.json` of the next round's design; None where it is not made yet.
    """
    reasons = [_gain(found) for found in judged[-2:]]
    if not judged:
        return Advice(False, "Nothing of this campaign is measured yet.", ())
    gained = judged[-1]["best"]["found"]
    if coming is None:
        return Advice(False, "The next plate is not proposed yet.", tuple(reasons))
    expected = coming.get("expected_better_than_best")
    if expected is None:
        return Advice(
            False, "The next plate has no expectations: its model has no deviations.", tuple(reasons)
        )
    reasons.append(
        f"The next plate of {coming['n_proposed']} is expected to have {expected:.2g} variants better than the best so "
        f"far, and {coming['expected_better_than_wild_type']:.3g} better than the wild type."
    )
    if (promise := judged[-1]["best"]["expected"]) is not None:
        kept = abs(gained - promise) <= max(2 * judged[-1]["best"]["deviation"], 0.5)
        reasons.append(
            f"The last plate promised {promise:.1f} better than the best and had {gained}"
            + ("." if kept else ": read the next promise with the same doubt.")
        )
    if gained == 0 and expected < 1:
        return Advice(
            True, "Stop, or change the library: the last plate brought nothing, and the next promises less than one.",
            tuple(reasons),
        )  # fmt: skip
    if gained == 0:
        return Advice(False, "Go on with care: the last plate brought nothing better.", tuple(reasons))
    return Advice(False, "Go on: the last plate brought something better.", tuple(reasons))


def _gain(found: Mapping[str, Any]) -> str:
    better, n = found["best"]["found"], found["n"]
    if not better:
        return (
            f"Round {found['round']}: none of {n} variants beats the best before, {found['best_before']:.4g}."
        )
    return (
        f"Round {found['round']}: {better} of {n} beat the best before; it rose from {found['best_before']:.4g} to "
        f"{found['best_now']:.4g} ({found['best_mutant']})."
    )
