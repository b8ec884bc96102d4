"""Well-known data sets by name: location in a mirror and as published, licence and citation.

proteingym:BLAT_ECOLX_Stiffler_2015     proteingym-indels:A4_HUMAN_Seuma_2022
flip:gb1/two_vs_rest                    flip2:amylase/one_to_many
urn:mavedb:00000001-a-1
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from proteinx_pipelines.errors import UnknownSource

_GYM = "https://marks.hms.harvard.edu/proteingym/ProteinGym_v1.3"
_GYM_CODE = "https://raw.githubusercontent.com/OATML-Markslab/ProteinGym/main/reference_files"
_FLIP = "https://raw.githubusercontent.com/J-SNACKKB/FLIP/main/splits"
_MAVEDB = "https://api.mavedb.org/api/v1/score-sets"
_GYM_CITATION = (
    "Notin et al. 2023. ProteinGym: Large-Scale Benchmarks for Protein Fitness Prediction and Design. NeurIPS 36, and "
    "the paper of the assay."
)
_FLIP_CITATION = (
    "Dallago et al. 2021. FLIP: Benchmark tasks in fitness landscape inference for proteins. bioRxiv "
    "2021.11.09.467890, and the paper of the data set."
)


@dataclass(frozen=True)
class NamedFile:
    """One file of a data set: its path in a mirror, its address as published, and which file of an archive it is."""

    mirror: tuple[str, ...]
    """Paths below the mirror's folder; the first that exists is used."""
    address: str | None
    member: str | None = None
    """File in the archive, if the download is one."""


@dataclass(frozen=True)
class NamedData:
    """A data set by its name."""

    name: str
    source: str
    """Name of its source in a catalog, unless told otherwise."""
    table: NamedFile
    template: NamedFile | None
    """Location of its template, if not in its rows: FASTA, a table of references, or MaveDB's description."""
    licence: str
    citation: str


def find_named(name: str) -> NamedData:
    """Look up a data set by name.

    Raises:
        UnknownSource: no data set has this name; the message shows the forms of names.
    """
    for pattern, make in _FORMS:
        match = re.fullmatch(pattern, name)
        if match:
            return make(match)
    raise UnknownSource(
        f"{name!r} is not the name of a data set. Expected are `proteingym:DMS_ID`, `proteingym-indels:DMS_ID`, "
        "`flip:DATASET/SPLIT`, `flip2:DATASET/SPLIT` or MaveDB's accession of a score set, `urn:mavedb:00000001-a-1`."
    )


def _gym(match: re.Match[str]) -> NamedData:
    kind, name = "indels" if match[1] else "substitutions", match[2]
    folder = f"DMS_ProteinGym_{kind}"
    archive = NamedFile(
        (f"proteingym/{folder}/{name}.csv", f"proteingym/{folder}.zip"), f"{_GYM}/{folder}.zip", f"{name}.csv"
    )
    reference = NamedFile((f"proteingym/DMS_{kind}.csv",), f"{_GYM_CODE}/DMS_{kind}.csv")
    return NamedData(
        match[0],
        name,
        archive,
        reference if match[1] else None,
        "MIT (ProteinGym); the assay's own",
        _GYM_CITATION,
    )


def _flip(match: re.Match[str]) -> NamedData:
    version, dataset, split = match[1], match[2], match[3]
    fasta = {"gb1": "5LDE_1.fasta", "cas": "cas9_sequence.fasta"}.get(dataset) if not version else None
    root = f"flip{version}"
    return NamedData(
        match[0],
        f"{dataset}_{split}",
        NamedFile(
            (f"{root}/{dataset}/{split}.csv", f"{root}/{dataset}/splits.zip"),
            None if version else f"{_FLIP}/{dataset}/splits.zip",
            f"{split}.csv",
        ),
        None if fasta is None else NamedFile((f"{root}/{dataset}/{fasta}",), f"{_FLIP}/{dataset}/{fasta}"),
        "AFL-3.0 (FLIP); the data set's own",
        _FLIP_CITATION,
    )


def _mavedb(match: re.Match[str]) -> NamedData:
    name = match[0]
    folder = f"mavedb/{name.replace(':', '_')}"
    return NamedData(
        name,
        name.removeprefix("urn:mavedb:"),
        NamedFile((f"{folder}/scores.csv",), f"{_MAVEDB}/{name}/scores"),
        NamedFile((f"{folder}/score-set.json",), f"{_MAVEDB}/{name}"),
        "as its description says",
        "Rubin et al. 2021. MaveDB v2. bioRxiv 2021.11.29.470445, and the publication of the score set.",
    )


_FORMS: tuple[tuple[str, Callable[[re.Match[str]], NamedData]], ...] = (
    (r"proteingym(-indels)?:([A-Za-z0-9_.\-]+)", _gym),
    (r"flip(2?):([A-Za-z0-9_\-]+)/([A-Za-z0-9_\-]+)", _flip),
    (r"urn:mavedb:\d{8}-[a-z]+-\d+", _mavedb),
)
