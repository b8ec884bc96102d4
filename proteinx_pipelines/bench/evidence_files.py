"""Structures and alignments of assays in a folder, found by their names.

A file belongs to an assay whose name is the file's, or begins with it: `P53_HUMAN.a2m.gz` is the alignment of every
assay `P53_HUMAN_...`. Of several, the longest name counts.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from proteinx_pipelines.errors import MissingFile
from proteinx_pipelines.evidence.gather import GivenEvidence
from proteinx_pipelines.evidence.given import ENDINGS, KINDS, read_given
from proteinx_pipelines.flags.data import NOTHING
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.stages.train.structure_effects import ProteinSites
from proteinx_pipelines.stages.train.structure_effects_learning import sites_of_structure

_STRUCTURE = "data.structure="


def evidence_pairs(folder: Path, assays: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
    """Assay -> flags (`data.structure=...`, `data.alignment=...`) of the files that belong to it; only assays with one.

    Raises:
        MissingFile: the folder has no structure and no alignment.
    """
    files = [
        (kind, path, stem)
        for path in sorted(folder.glob("*") if folder.is_dir() else ())
        for kind in KINDS
        if (stem := _stem(path.name, kind)) is not None
    ]
    if not files:
        listed = ", ".join(ending for endings in ENDINGS.values() for ending in endings)
        raise MissingFile(
            f"{folder} has no structures or alignments; files ending in {listed} (or with .gz) are expected."
        )
    found = {}
    for name in assays:
        pairs = []
        for kind in KINDS:
            own = [
                (stem, path) for of, path, stem in files if of == kind and f"{name}_".startswith(f"{stem}_")
            ]
            if own:
                pairs.append(f"data.{kind}={max(own, key=lambda one: len(one[0]))[1].resolve()}")
        if pairs:
            found[name] = tuple(pairs)
    return found


def evidence_of_flags(flags: ExperimentFlags) -> GivenEvidence:
    """Read the files that `data.structure` and `data.alignment` name.

    Raises:
        MissingFile: a file is not there.
    """
    return GivenEvidence(
        {
            (kind, None): read_given(kind, Path(text), flags.data.chain if kind == "structure" else None)
            for kind in KINDS
            if (text := getattr(flags.data, kind)) not in (None, NOTHING)
        }
    )


def sites_of_assays(folder: Path, templates: Mapping[str, str]) -> dict[str, ProteinSites]:
    """Assay -> sites of its protein's structure, as a prior is learned from; only assays with one.

    Args:
        folder: structures, as for `evidence_pairs`; alignments in it are not read.
        templates: assay -> sequence.

    Raises:
        MissingFile: the folder has no structure and no alignment. BadEvidence: a structure cannot be read.
    """
    found = {}
    for name, pairs in evidence_pairs(folder, templates).items():
        for path in (pair.removeprefix(_STRUCTURE) for pair in pairs if pair.startswith(_STRUCTURE)):
            given = GivenEvidence({("structure", None): read_given("structure", Path(path), None)})
            sites = sites_of_structure(given, name, templates[name])
            if sites is not None:
                found[name] = sites
    return found


def _stem(name: str, kind: str) -> str | None:
    plain = name.removesuffix(".gz")
    ending = next((ending for ending in ENDINGS[kind] if plain.endswith(ending)), None)
    return None if ending is None else plain.removesuffix(ending)
