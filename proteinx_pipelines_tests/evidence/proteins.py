"""Small proteins for tests: a compact chain of backbone atoms, written by biotite, and an alignment of relatives."""

import gzip
import io
from collections.abc import Mapping

import numpy as np

from proteinx_pipelines.evidence.given import GivenFile
from proteinx_pipelines.records import AMINO_ACIDS

THREE = dict(
    zip(
        "ARNDCQEGHILKMFPSTWYV",
        (
            "ALA",
            "ARG",
            "ASN",
            "ASP",
            "CYS",
            "GLN",
            "GLU",
            "GLY",
            "HIS",
            "ILE",
            "LEU",
            "LYS",
            "MET",
            "PHE",
            "PRO",
            "SER",
            "THR",
            "TRP",
            "TYR",
            "VAL",
        ),
        strict=True,
    )
)


def sequence_of(length: int, seed: int = 0) -> str:
    """A random template."""
    return "".join(np.random.default_rng(seed).choice(list(AMINO_ACIDS), length))


def places_of(length: int, seed: int = 0) -> np.ndarray:
    """float64 [L, 3]: C-alpha atoms of a chain that stays within a ball of 11 angstrom."""
    rng, at, found = np.random.default_rng(seed), np.zeros(3), []
    for _ in range(length):
        step = rng.normal(size=3) - 0.25 * at / 3.8
        at = at + 3.8 * step / np.linalg.norm(step)
        at = at * min(1.0, 11.0 / max(np.linalg.norm(at), 1e-9))
        found.append(at)
    return np.array(found)


def structure_text(
    chains: Mapping[str, str],
    *,
    confidence: float | np.ndarray = 90.0,
    seed: int = 0,
    form: str = "pdb",
    first: int = 1,
) -> str:
    """PDB or mmCIF text of chains; each residue has one B-factor, as predictors write it."""
    import biotite.structure as struc
    from biotite.structure.io import pdb, pdbx

    atoms, shift = [], np.zeros(3)
    for chain, sequence in chains.items():
        places = places_of(len(sequence), seed) + shift
        values = np.broadcast_to(np.asarray(confidence, float), (len(sequence),))
        for number, (letter, place) in enumerate(zip(sequence, places, strict=True)):
            for name, away in (("N", (-1.2, 0.8, 0)), ("CA", (0, 0, 0)), ("C", (1.2, 0.9, 0)), ("O", (1.3, 2.1, 0)), ("CB", (0, -0.8, 1.2))):  # fmt: skip  # noqa: E501
                atoms.append(
                    struc.Atom(
                        place + np.array(away), chain_id=chain, res_id=number + first, res_name=THREE[letter],
                        atom_name=name, element=name[0], b_factor=values[number], occupancy=1.0,
                    )
                )  # fmt: skip
        shift = shift + np.array([60.0, 0, 0])
    array, text = struc.array(atoms), io.StringIO()
    file = pdb.PDBFile() if form == "pdb" else pdbx.CIFFile()
    if form == "pdb":
        file.set_structure(array)
    else:
        pdbx.set_structure(file, array, data_block="toy")
    file.write(text)
    return text.getvalue()


def given(kind: str, text: str, name: str | None = None, *, chain: str | None = None) -> GivenFile:
    """A file as given; packed if its name says so."""
    name = name or ("toy.pdb" if kind == "structure" else "toy.a2m")
    content = text.encode()
    return GivenFile(kind, name, gzip.compress(content) if name.endswith(".gz") else content, chain)


def relatives(template: str, n: int, *, kept: np.ndarray | float = 0.6, seed: int = 0) -> list[str]:
    """The template and n relatives, each residue kept with a probability (one, or one per site)."""
    rng = np.random.default_rng(seed)
    share = np.broadcast_to(np.asarray(kept, float), (len(template),))
    rows = [template]
    for _ in range(n):
        same = rng.random(len(template)) < share
        rows.append("".join(np.where(same, list(template), rng.choice(list(AMINO_ACIDS), len(template)))))
    return rows


def fasta(rows: list[str]) -> str:
    """FASTA text of rows."""
    return "".join(f">row{number}\n{row}\n" for number, row in enumerate(rows))
