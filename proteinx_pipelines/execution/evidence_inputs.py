"""Structures and alignments of an experiment: the files that its flags name, or those attached to its sources."""

from collections.abc import Callable
from pathlib import Path

from proteinx_pipelines.catalog.attachments import Attachment, attached_content, attachments_of
from proteinx_pipelines.errors import CatalogError, MissingFile
from proteinx_pipelines.evidence.gather import GivenEvidence
from proteinx_pipelines.evidence.given import DESCRIPTION_VERSION, GivenFile, read_given
from proteinx_pipelines.flags.data import NOTHING
from proteinx_pipelines.flags.tree import ExperimentFlags

Database = Callable[[], Path]
Resolve = Callable[[str, str | None], Path | None]


def attached(flags: ExperimentFlags, database: Database) -> list[Attachment]:
    """Files attached to the experiment's sources that no flag replaces."""
    kinds = [kind for kind, text in _named(flags).items() if text is None]
    if not kinds:
        return []
    try:
        found = attachments_of(database(), flags.data.source)
    except (CatalogError, MissingFile):  # the selection reports it
        return []
    return [one for one in found if one.kind in kinds]


def evidence_digests(flags: ExperimentFlags, database: Database) -> dict[str, str]:
    """What enters the key of the stage that reads structures and alignments, beside the files that flags name.

    `attached:<kind>:<source>` -> digest of the content and the chain. `described:structure` -> version of what is kept
    of a structure, where one is given: results of an earlier one are made again, those without a structure stay.
    """
    found = attached(flags, database)
    digests = {
        f"attached:{one.kind}:{one.source}": one.sha256 + (f":{one.chain}" if one.chain else "")
        for one in found
    }
    if flags.data.structure not in (None, NOTHING) or any(one.kind == "structure" for one in found):
        digests["described:structure"] = DESCRIPTION_VERSION
    return digests


def given_evidence(flags: ExperimentFlags, resolve: Resolve, database: Database) -> GivenEvidence:
    """Read all files of the experiment.

    Raises:
        MissingFile: a file that a flag names is not on this node. PathNotAllowed: it lies outside the data roots.
    """
    files: dict[tuple[str, str | None], GivenFile] = {}
    for kind, text in _named(flags).items():
        if text is not None and text != NOTHING:
            path = resolve(f"data.{kind}", text)
            assert path is not None
            files[kind, None] = read_given(kind, path, flags.data.chain if kind == "structure" else None)
    for one in attached(flags, database):
        files[one.kind, one.source] = GivenFile(
            one.kind, one.name, attached_content(database(), one), one.chain
        )
    return GivenEvidence(files)


def _named(flags: ExperimentFlags) -> dict[str, str | None]:
    """Kind -> text of its flag."""
    return {"structure": flags.data.structure, "alignment": flags.data.alignment}
