"""A library of made-up double mutants, as the data files and the catalog that benchmarks read."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from proteinx_pipelines.mutants import letter_strings

AMINO_ACIDS = np.frombuffer(b"ACDEFGHIKLMNPQRSTVWY", np.uint8)
RESIDUES = 300
SOURCE = "made_up"


def template() -> str:
    """300 residues."""
    return np.random.default_rng(0).choice(AMINO_ACIDS, RESIDUES).tobytes().decode()


def write_csv(path: Path, n: int) -> Path:
    """n double mutants in ProteinGym's form: `mutant,DMS_score,DMS_score_bin`; about 24 bytes a row."""
    random = np.random.default_rng(1)
    letters = np.frombuffer(template().encode(), np.uint8)
    first = random.integers(0, RESIDUES - 1, n)
    second = first + 1 + random.integers(0, RESIDUES - 1 - first)
    parts = [_mutations(letters, place, random.choice(AMINO_ACIDS, n)) for place in (first, second)]
    scores = np.round(random.normal(size=n), 6)
    columns = {
        "mutant": pc.binary_join_element_wise(*parts, ":"),
        "DMS_score": scores,
        "DMS_score_bin": (scores > 0).astype(np.int8),
    }
    pyarrow.csv.write_csv(pa.table(columns), path)
    return path


def _mutations(letters: np.ndarray, place: np.ndarray, residues: np.ndarray) -> pa.Array:
    position = pa.array(place + 1).cast(pa.string())
    return pc.binary_join_element_wise(letter_strings(letters[place]), position, letter_strings(residues), "")
