"""Flags of `design.*` that are read only beside others, such as `design.beta` with `ucb` alone.

One that is set where nothing reads it is named to the author; the result is the same without.
"""

from collections.abc import Callable, Mapping, Sequence

from proteinx_pipelines.flags.design import Bound, DesignFlags

_WITHOUT_A_LIBRARY = ("final",)
"""Read by `proteinx predict` of an experiment that has no design."""
_LIBRARY = "`design.library`, which is not given: no design is made"


def _has_several_goals(design: DesignFlags) -> bool:
    goals = design.goal.values() if isinstance(design.goal, dict) else (design.goal,)
    return sum(not isinstance(goal, Bound) for goal in goals) > 1


_SEVERAL = "several goals in `design.goal`"
READ_WITH: Mapping[str, tuple[str, Callable[[DesignFlags], bool]]] = {
    "beta": ("`design.acquisition` ucb", lambda design: design.acquisition == "ucb"),
    "batching": (
        "another `design.acquisition` than thompson",
        lambda design: design.acquisition != "thompson",
    ),
    "best": (
        "`design.library` doubles or recombine",
        lambda design: design.library in ("doubles", "recombine"),
    ),
    "keep_measured": ("`design.library` file", lambda design: design.library == "file"),
    "combine": (_SEVERAL, _has_several_goals),
    "weights": (_SEVERAL, _has_several_goals),
}
"""Flag -> what it is read with, in words, and whether that is there."""


def unread_of_design(design: DesignFlags, *, needs_library: bool = True) -> dict[str, str]:
    """Flags of `design.*` not at their defaults that nothing reads -> what would have to be there, in words.

    Args:
        design: the flags.
        needs_library: false where candidates come from elsewhere, as in a simulated campaign.
    """
    fields = type(design).model_fields
    changed = [name for name, field in fields.items() if getattr(design, name) != field.get_default()]
    if needs_library and design.library is None:
        return {name: _LIBRARY for name in changed if name not in _WITHOUT_A_LIBRARY}
    return {
        name: READ_WITH[name][0] for name in changed if name in READ_WITH and not READ_WITH[name][1](design)
    }


def design_in_words(unread: Mapping[str, str]) -> str:
    """A sentence for each reason, such as "`design.beta` is read only with `design.acquisition` ucb."."""
    return " ".join(
        f"{', '.join(f'`design.{name}`' for name in names)} {'is' if len(names) == 1 else 'are'} read only with {why}."
        for why, names in _by_reason(unread).items()
    )


def _by_reason(unread: Mapping[str, str]) -> Mapping[str, Sequence[str]]:
    found: dict[str, list[str]] = {}
    for name, why in unread.items():
        found.setdefault(why, []).append(name)
    return found
