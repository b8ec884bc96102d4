"""What looks at single places refuses insertions and deletions by name; what does not, embeds them."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from measurements import variants_of

from proteinx_pipelines.errors import BadVariants
from proteinx_pipelines.flags.embedding import EmbeddingFlags
from proteinx_pipelines.flags.split import SplitFlags
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.records import AMINO_ACIDS
from proteinx_pipelines.stages.embedding.embed import embed_variants
from proteinx_pipelines.stages.embedding.kmers import WIDTH, kmer_columns
from proteinx_pipelines.stages.split.assign import assign_split

VARIANTS = variants_of("WT", "A1C", "D3del", "D3_E4insGG", templates={"toy": "ACDEFGHIKL"})
SELENO = variants_of("WT", "A1C", "C2D", templates={"toy": "ACDUFGHIKL"})


@pytest.mark.parametrize("name", ["onehot", "blosum62", "scales", "substitution"])
def test_representations_by_place_refuse_them(name):
    with pytest.raises(BadVariants) as raised:
        embed_variants(VARIANTS, EmbeddingFlags(name=name), StageMonitor())
    assert "2 of 4 variants insert or delete residues" in str(raised.value)
    assert "kmers" in str(raised.value)


@pytest.mark.parametrize("method", ["by_position", "modulo", "contiguous", "clusters"])
def test_splits_by_place_refuse_them(method):
    with pytest.raises(BadVariants, match="insert or delete residues"):
        assign_split(VARIANTS, SplitFlags(method=method, folds=2))


def test_kmers_embed_them():
    found = embed_variants(VARIANTS, EmbeddingFlags(name="kmers"), StageMonitor())
    assert found.vectors.shape == (4, WIDTH)
    assert np.isfinite(found.vectors).all()
    assert len(np.unique(found.vectors, axis=0)) == 4


@given(st.lists(st.text(alphabet=AMINO_ACIDS, min_size=1, max_size=9), min_size=1, max_size=6))
def test_kmers_are_counts(sequences):
    found = kmer_columns(pa.array(sequences))
    names = [
        *AMINO_ACIDS,
        *(f"{a}{'.' * (gap - 1)}{b}" for gap in (1, 2, 3) for a in AMINO_ACIDS for b in AMINO_ACIDS),
    ]
    for row, text in enumerate(sequences):
        expected = Counter(text)
        for gap in (1, 2, 3):
            expected.update(f"{a}{'.' * (gap - 1)}{b}" for a, b in zip(text, text[gap:], strict=False))
        assert found[row].tolist() == [float(expected[name]) for name in names]


def test_one_hot_leaves_out_a_letter_that_every_row_has():
    found = embed_variants(SELENO, EmbeddingFlags(name="onehot"), StageMonitor())
    assert (found.tokens[:, 3] == len(AMINO_ACIDS)).all()


def test_others_say_that_it_is_the_template_and_what_to_put_there():
    with pytest.raises(BadVariants, match=r"that of toy has U at 4.*C for U"):
        embed_variants(SELENO, EmbeddingFlags(name="kmers"), StageMonitor())
