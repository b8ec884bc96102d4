"""Chains of a structure file, by biotite: PDB, mmCIF and BinaryCIF, the first model, heavy atoms of residues."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from proteinx_pipelines.errors import BadEvidence
from proteinx_pipelines.evidence.given import GivenFile, expected
from proteinx_pipelines.evidence.packages import needed

MOST_ATOMS = 100_000
_WHAT = "Reading a structure"
_CARBON = 1.88
"""Radius of a carbon atom with its hydrogen atoms, angstrom."""
_UNIFORM = 0.01
"""Largest spread of the B-factor within a residue of a predicted structure, where each residue has one confidence."""
_BACKBONE = ("N", "CA", "C", "O", "OXT")
"""Atoms of a residue that are not of its side chain."""
_CENTRE = (-0.58273431, 0.56802827, -0.54067466)
"""C-beta of an ideal residue from N, C-alpha and C; source: trRosetta (Yang et al. 2020, PNAS 117:1496), its code."""


@dataclass(frozen=True)
class Residues:
    """R residues of all protein chains of a file, in its order."""

    chain: np.ndarray
    """Text [R]: chain identifier."""
    letters: str
    """R one-letter codes, X for unknown residues."""
    alpha: np.ndarray
    """float64 [R, 3]: C-alpha, angstrom."""
    beta: np.ndarray
    """float64 [R, 3]: C-beta, an ideal one for glycine."""
    centre: np.ndarray
    """float64 [R, 3]: mean of the side chain's atoms, C-alpha for glycine."""
    exposed: np.ndarray
    """float64 [R]: solvent-accessible surface in the whole assembly, square angstrom."""
    exposed_side: np.ndarray
    """float64 [R]: the part of it that belongs to the side chain (to C-alpha for glycine)."""
    fold: np.ndarray
    """Text [R]: secondary structure, `a` helix, `b` strand, `c` neither."""
    b_factor: np.ndarray
    """float64 [R]: mean over the residue's atoms."""
    is_predicted: bool
    """True if the B-factor holds a predictor's confidence (pLDDT, 0 to 100)."""

    def chains(self) -> list[str]:
        """Chain identifiers in order."""
        return list(dict.fromkeys(self.chain.tolist()))


def read_residues(given: GivenFile) -> Residues:
    """Read the residues of a structure.

    Raises:
        BadEvidence: no structure can be read from the file, or it has no protein.
        MissingPackage: biotite is not installed.
    """
    struc = needed("biotite.structure", _WHAT)
    atoms, says_predicted = _atoms(given)
    atoms = atoms[struc.filter_amino_acids(atoms) & (atoms.element != "H") & (atoms.element != "D")]
    if atoms.array_length() > MOST_ATOMS:
        raise BadEvidence(
            f"{given.name} has {atoms.array_length():,} atoms of proteins; at most {MOST_ATOMS:,} are read. "
            "Give the chain and its neighbours alone."
        )
    starts = struc.get_residue_starts(atoms) if atoms.array_length() else np.zeros(0, np.int64)
    bounds = np.append(starts, atoms.array_length())
    kept = [i for i in range(len(starts)) if "CA" in atoms.atom_name[bounds[i] : bounds[i + 1]]]
    if not kept:
        raise BadEvidence(
            f"{given.name} has no residue with a C-alpha atom; a protein structure is expected: "
            f"{expected('structure')}."
        )
    exposed, confidence = _exposed(struc, atoms), np.asarray(atoms.b_factor, np.float64)
    per_residue = [slice(bounds[i], bounds[i + 1]) for i in kept]
    backbone = [_backbone(atoms[piece]) for piece in per_residue]
    sides = [_side(atoms[piece]) for piece in per_residue]
    means = np.array([confidence[piece].mean() for piece in per_residue])
    uniform = all(float(np.ptp(confidence[piece])) <= _UNIFORM for piece in per_residue)
    predicted = says_predicted or (
        uniform and len(np.unique(means)) > 1 and 0 <= means.min() <= means.max() <= 100
    )
    if predicted and means.max() <= 1.0:
        means = means * 100  # some predictors write a fraction
    names = [str(atoms.res_name[piece.start]) for piece in per_residue]
    return Residues(
        chain=np.array([str(atoms.chain_id[piece.start]) for piece in per_residue]),
        letters="".join(_letter(name) for name in names),
        alpha=np.array([pair[0] for pair in backbone]),
        beta=np.array([pair[1] for pair in backbone]),
        centre=np.array(
            [
                np.asarray(atoms.coord[piece][side], np.float64).mean(axis=0)
                for piece, side in zip(per_residue, sides, strict=True)
            ]
        ),
        exposed=np.array([exposed[piece].sum() for piece in per_residue]),
        exposed_side=np.array(
            [exposed[piece][side].sum() for piece, side in zip(per_residue, sides, strict=True)]
        ),
        fold=_fold(struc, atoms, bounds, kept),
        b_factor=means,
        is_predicted=bool(predicted),
    )


def _atoms(given: GivenFile) -> tuple[Any, bool]:
    """Atoms of the first model, and True if the file itself says that it is predicted."""
    pdb, pdbx = needed("biotite.structure.io.pdb", _WHAT), needed("biotite.structure.io.pdbx", _WHAT)
    wanted = {"model": 1, "altloc": "occupancy", "extra_fields": ["b_factor"]}
    try:
        if given.plain_name.endswith(".bcif"):
            binary = pdbx.BinaryCIFFile.read(io.BytesIO(given.unpacked))
            return pdbx.get_structure(binary, **wanted), _is_model(binary)
        text = given.text()
        if given.plain_name.endswith((".cif", ".mmcif")) or text.lstrip().startswith("data_"):
            file = pdbx.CIFFile.read(io.StringIO(text))
            return pdbx.get_structure(file, **wanted), _is_model(file)
        file = pdb.PDBFile.read(io.StringIO(text))
        heading = "\n".join(
            line for line in text.splitlines()[:200] if line.startswith(("TITLE", "EXPDTA", "HEADER"))
        )
        says = any(
            word in heading.upper() for word in ("ALPHAFOLD", "ESMFOLD", "THEORETICAL MODEL", "COLABFOLD")
        )
        return file.get_structure(**wanted), says
    except BadEvidence:
        raise
    except Exception as error:  # biotite raises whatever its parsers meet
        raise BadEvidence(
            f"{given.name} cannot be read as a structure ({type(error).__name__}: {error}); expected: "
            f"{expected('structure')}."
        ) from error


def _is_model(file: Any) -> bool:
    """True for mmCIF with the categories of predicted models."""
    return any(name in file.block for name in ("ma_qa_metric_local", "ma_qa_metric", "ma_model_list"))


def _exposed(struc: Any, atoms: Any) -> np.ndarray:
    """Surface of each atom, float64 [A], with the radii of ProtOr where they are known."""
    known: dict[tuple[str, str, str], float] = {}
    names = list(zip(atoms.res_name.tolist(), atoms.atom_name.tolist(), atoms.element.tolist(), strict=True))
    for name in set(names):
        known[name] = _radius(*name)
    radii = np.array([known[name] for name in names])
    return np.asarray(np.nan_to_num(struc.sasa(atoms, vdw_radii=radii)), np.float64)


def _radius(residue: str, atom: str, element: str) -> float:
    """Radius of an atom in angstrom, with its hydrogen atoms; that of a carbon for what no table has."""
    info = needed("biotite.structure.info", _WHAT)
    try:
        found = info.vdw_radius_protor(residue, atom)
    except (KeyError, ValueError):  # an atom that this residue does not have in the dictionary
        found = None
    return float(found or info.vdw_radius_single(element) or _CARBON)


def _backbone(residue: Any) -> tuple[np.ndarray, np.ndarray]:
    """C-alpha and C-beta of one residue."""
    at = dict(zip(residue.atom_name.tolist(), np.asarray(residue.coord, np.float64), strict=True))
    alpha = at["CA"]
    if "CB" in at:
        return alpha, at["CB"]
    if "N" not in at or "C" not in at:
        return alpha, alpha
    first, second = alpha - at["N"], at["C"] - alpha
    return alpha, alpha + _CENTRE[0] * np.cross(first, second) + _CENTRE[1] * first + _CENTRE[2] * second


def _side(residue: Any) -> np.ndarray:
    """Bool: atoms of the side chain of one residue; C-alpha where it has none."""
    found = ~np.isin(residue.atom_name, _BACKBONE)
    return np.asarray(found if found.any() else residue.atom_name == "CA")


def _letter(name: str) -> str:
    code = needed("biotite.structure.info", _WHAT).one_letter_code(name)
    return code if code and len(code) == 1 and code.isalpha() else "X"


def _fold(struc: Any, atoms: Any, bounds: np.ndarray, kept: list[int]) -> np.ndarray:
    """Secondary structure of each kept residue, chain by chain."""
    chosen = np.concatenate([np.arange(bounds[i], bounds[i + 1]) for i in kept])
    found = list[str]()
    for piece in _by_chain(atoms[chosen]):
        found += [str(code) or "c" for code in struc.annotate_sse(piece)]
    return np.array(found)


def _by_chain(atoms: Any) -> Iterator[Any]:
    """Runs of atoms of one chain, in order."""
    change = np.flatnonzero(atoms.chain_id[1:] != atoms.chain_id[:-1]) + 1
    bounds = [0, *change.tolist(), atoms.array_length()]
    for start, end in pairwise(bounds):
        yield atoms[start:end]
