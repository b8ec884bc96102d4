"""Small landscapes that can be reasoned about."""

import itertools
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from proteinx_pipelines.campaign.defaults import with_defaults
from proteinx_pipelines.campaign.landscape import Landscape, landscape_of
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.records import Selection

LETTERS = "ACDEFG"
TEMPLATE = "AAAKLM"


def flags_of(**pairs: object) -> ExperimentFlags:
    """Flags of a rule, defaults of a campaign filled in; `model__name="ridge"` is model.name."""
    return with_defaults(
        parse_flags(
            {"data.source": "TOY", **{name.replace("__", "."): value for name, value in pairs.items()}}
        )
    )


def selection(score: Callable[[str], float]) -> Selection:
    """All combinations of six residues at three sites, the wild type among them."""
    names, scores = [], []
    for letters in itertools.product(LETTERS, repeat=3):
        parts = [f"A{at}{new}" for at, new in enumerate(letters, 1) if new != "A"]
        names.append(":".join(parts) or "WT")
        scores.append(score("".join(letters)))
    rows = pa.table(
        {
            "source": ["TOY"] * len(names),
            "mutant": names,
            "DMS_score": pa.array(scores, pa.float64()),
            "DMS_score_bin": pa.nulls(len(names), pa.string()),
            "mut_num": pa.array([0 if name == "WT" else name.count(":") + 1 for name in names], pa.int32()),
        }
    )
    return Selection(rows, {"TOY": TEMPLATE}, {})


_EFFECT = np.random.default_rng(5).random((3, len(LETTERS)))


def additive(letters: str) -> float:
    """A sum over sites: what an additive model learns exactly."""
    return float(sum(_EFFECT[at, LETTERS.index(letter)] for at, letter in enumerate(letters)))


@pytest.fixture(scope="session")
def toy() -> Landscape:
    """216 variants with additive scores."""
    return landscape_of(selection(additive), flags_of())
