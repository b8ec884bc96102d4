"""Flags that a simulated campaign does not read, for the note to the author."""

from proteinx_pipelines.campaign.defaults import with_defaults
from proteinx_pipelines.campaign.simulation import Asked
from proteinx_pipelines.flags.changes import differing_from_defaults
from proteinx_pipelines.flags.design_reading import design_in_words, unread_of_design
from proteinx_pipelines.flags.reading import model_in_words
from proteinx_pipelines.flags.tree import ExperimentFlags

_OTHER_GROUPS = ("split", "evaluate", "run")
"""Groups of an experiment's flags without a part in a campaign: it has no held-out rows and no place in a queue."""


def unread_in_words(flags: ExperimentFlags, asked: Asked) -> str:
    """Sentences that name the flags that nothing reads; empty when there are none.

    Args:
        flags: as written.
        asked: with the acquisitions that are compared: a flag that one of them reads is read.
    """
    rule = with_defaults(flags)
    designs = [
        rule.design.model_copy(update={"acquisition": name})
        for name in asked.acquisitions or (rule.design.acquisition,)
    ]
    unread = [unread_of_design(design, needs_library=False) for design in designs]
    written = flags.design.model_fields_set
    common = {
        name: why
        for name, why in unread[0].items()
        if name in written and all(name in each for each in unread)
    }
    return " ".join(filter(None, (model_in_words(rule), design_in_words(common), _of_other_groups(flags))))


def _of_other_groups(flags: ExperimentFlags) -> str:
    names = [
        name for name in differing_from_defaults(flags.nested()) if name.partition(".")[0] in _OTHER_GROUPS
    ]
    if not names:
        return ""
    verb = "has" if len(names) == 1 else "have"
    return f"{', '.join(f'`{name}`' for name in names)} {verb} no part in a simulated campaign."
