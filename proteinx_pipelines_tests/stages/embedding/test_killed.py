"""An embedding that is killed half way: the next one runs the model on what is missing and on nothing else."""

import signal
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest

from proteinx_pipelines.flags.embedding import EmbeddingFlags
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.stages.embedding.embed import embed_variants
from proteinx_pipelines.stages.embedding.sequence_store import SequenceStore

FLAGS = EmbeddingFlags(name="esm2_t6_8M_UR50D", layer=1, tokens_per_batch=1)
N = 400

EMBEDS_UNTIL_KILLED = """
import sys
from pathlib import Path
from proteinx_pipelines.flags.embedding import EmbeddingFlags
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.records import VariantTable
from proteinx_pipelines.stages.embedding import sequence_store
from proteinx_pipelines.stages.embedding.embed import embed_variants
import pyarrow.parquet
sequence_store.WRITE_AFTER_S = 0.0

class Loud(StageMonitor):
    def progress(self, done, total, note=""):
        print(done, flush=True)

folder, weights = Path(sys.argv[1]), Path(sys.argv[2])
variants = VariantTable(pyarrow.parquet.read_table(folder / "rows.parquet"), {"s": "ACDEFGHIKLMN"})
flags = EmbeddingFlags(name="esm2_t6_8M_UR50D", layer=1, tokens_per_batch=1)
with sequence_store.SequenceStore(folder / "sequences") as store:
    embed_variants(variants, flags, Loud(), weights=weights, store=store)
"""


@pytest.mark.slow
def test_after_a_kill_only_the_rest_goes_through_the_model(checkpoint, variant_table, tmp_path, listener):
    random = np.random.default_rng(0)
    letters = np.unique(random.choice(np.frombuffer(b"ACDEFGHIKL", np.uint8), (N, 12)), axis=0)
    rows = [("s", f"V{i}", row.tobytes().decode()) for i, row in enumerate(letters)]
    variants = variant_table(rows, {"s": "ACDEFGHIKLMN"})
    pq.write_table(variants.rows, tmp_path / "rows.parquet")
    reached = _kill_after(100, tmp_path, checkpoint)
    with SequenceStore(tmp_path / "sequences") as store:
        found = embed_variants(variants, FLAGS, listener, weights=checkpoint, store=store)
    finished = listener.events["embedding_finished"]["sequences"]
    assert store.n_found + finished == len(rows)
    assert store.n_found >= 90  # told as done before the kill, less what waited to be written
    assert store.n_found <= reached + 1  # and not the whole: it was killed half way
    assert finished > 0
    whole = embed_variants(variants, FLAGS, StageMonitor(), weights=checkpoint)
    np.testing.assert_allclose(found.vectors, whole.vectors, rtol=1e-5, atol=1e-6)


def _kill_after(n, folder, checkpoint):
    """Start an embedding in another process and kill it when it has said that `n` sequences are done."""
    command = [sys.executable, "-c", EMBEDS_UNTIL_KILLED, str(folder), str(checkpoint)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        reached = 0
        while reached < n:
            reached = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        rest = [int(line) for line in process.stdout if line.endswith("\n")]
    assert process.returncode == -signal.SIGKILL
    return max([reached, *rest])
