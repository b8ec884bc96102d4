"""Windows around the mutations: whatever is cut away, no mutation is."""

import pyarrow as pa
import pytest

from proteinx_pipelines.errors import BadVariants
from proteinx_pipelines.records import VariantTable
from proteinx_pipelines.stages.embedding.windows import cut_windows

TEMPLATE = "MQYKLILNGKTLKGETTTEAVDAATAEKVFKQYANDNGVDGEWTYDDATKTFTVTE"


def variants(*positions: tuple[int, ...]) -> tuple[VariantTable, pa.Array]:
    """Variants of `TEMPLATE` (from 0) in which the named residues are H, which it has nowhere."""
    sequences = ["".join("H" if k in at else letter for k, letter in enumerate(TEMPLATE)) for at in positions]
    table = pa.table(
        {"id": [str(at) for at in positions], "source": ["GB1"] * len(positions), "sequence": sequences}
    )
    return VariantTable(table, {"GB1": TEMPLATE}), pa.array(sequences)


@pytest.mark.parametrize("size", [16, 17, 20, 31])
def test_every_mutation_is_inside_its_window(size: int) -> None:
    """GB1's four sites are exactly 16 residues apart: the last one fell out of a window of 16, and 149,360 variants
    became 22,650 different ones."""
    spans = [(first, last) for first in range(0, 56, 3) for last in range(first, min(56, first + size))]
    table, sequences = variants(*spans)
    found = cut_windows(table, sequences, size, 4096)
    for row, (first, last) in enumerate(spans):
        start = int(found.starts[row])
        assert 0 <= start <= first
        assert last < start + size <= len(TEMPLATE)
        assert found.sequences[row].as_py() == sequences[row].as_py()[start : start + size]


def test_mutations_further_apart_than_the_window_are_refused() -> None:
    table, sequences = variants((10, 26))
    with pytest.raises(BadVariants, match=r"further apart than the 16 residues.*Raise `embedding.window`"):
        cut_windows(table, sequences, 16, 4096)


def test_nobody_is_sent_to_a_window_that_the_model_does_not_have() -> None:
    table, sequences = variants((10, 26))
    with pytest.raises(BadVariants, match=r"\(\(10, 26\)\)\. Use the mutated domain as template"):
        cut_windows(table, sequences, 16, 16)
