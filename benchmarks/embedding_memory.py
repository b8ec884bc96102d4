"""Peak memory of embedding a large library as a node does: variant table, ESM-2 t6, sequence store, file of results.

The work is done in a process of its own, whose largest resident size is the figure; with it come the time and how
many forward passes it took. Memory does not depend on how many layers are run, so a short run takes one of six.

    python benchmarks/embedding_memory.py --variants 100000 --layer 6
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import Figure, Goal, Spread, arguments_of, report

GOAL_GB = 2.0
_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024
"""What `ru_maxrss` counts in."""


def main() -> None:
    options = arguments_of(
        __doc__.splitlines()[0],
        lambda parser: parser.add_argument("--variants", type=int, default=100_000),
        lambda parser: parser.add_argument("--residues", type=int, default=56),
        lambda parser: parser.add_argument(
            "--layer", type=int, default=1, help="of 6; 6 takes six times as long"
        ),
        lambda parser: parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32"),
        lambda parser: parser.add_argument("--in-this-process", type=Path, help=argparse.SUPPRESS),
    )
    if options.in_this_process:
        embed(options)
        return
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        subprocess.run([sys.executable, *sys.argv, "--in-this-process", str(answer)], check=True)
        facts = json.loads(answer.read_text(encoding="utf-8"))
    what = f"peak memory while {options.variants:,} variants of {options.residues} residues are embedded"
    spread = Spread.of([facts.pop("peak_gb")])
    figure = Figure("embedding.memory", what, "GB", spread, goals=(Goal("ours", "<=", GOAL_GB),), facts=facts)
    report("embedding_memory", [figure], options.out)


def embed(options: argparse.Namespace) -> None:
    """Embed the library and write the peak down; everything is imported here, in the process that is measured."""
    import pyarrow as pa
    from embedding_speed import double_mutants
    from rerun import checkpoint

    from proteinx_pipelines.experiment_dir.codecs import embedding as codec
    from proteinx_pipelines.experiment_dir.layout import ExperimentDir
    from proteinx_pipelines.flags.embedding import EmbeddingFlags
    from proteinx_pipelines.monitor import StageMonitor
    from proteinx_pipelines.records import VariantTable
    from proteinx_pipelines.stages.embedding.embed import embed_variants
    from proteinx_pipelines.stages.embedding.sequence_store import SequenceStore

    letters = double_mutants(options.variants, options.residues)
    sequences = pa.array([row.tobytes().decode() for row in letters], pa.string())
    ids = pa.array([f"made_up/{number}" for number in range(len(letters))])
    source = pa.array(["made_up"] * len(letters))
    variants = VariantTable(
        pa.table({"id": ids, "source": source, "sequence": sequences}), {"made_up": sequences[0].as_py()}
    )
    before, events = peak_gb(), {}

    class Listener(StageMonitor):
        def event(self, name: str, **payload: object) -> None:
            events[name] = payload

    flags = EmbeddingFlags(name="esm2_t6_8M_UR50D", layer=options.layer, precision=options.precision)
    with tempfile.TemporaryDirectory() as folder:
        weights = checkpoint(Path(folder) / "weights.pt")
        started = time.perf_counter()
        with SequenceStore(Path(folder) / "sequences") as store:
            embedding = embed_variants(variants, flags, Listener(), weights=weights, store=store)
        codec.save(embedding, ExperimentDir(Path(folder), "measured"))
        seconds = time.perf_counter() - started
        shards = len(list(Path(folder).glob("sequences/*/*.safetensors")))
    finished = events["embedding_finished"]
    facts = {
        "peak_gb": peak_gb(), "peak_gb_before": before, "seconds": round(seconds, 1), "layer": options.layer,
        "precision": options.precision, "sequences_per_second": round(len(letters) / seconds, 1),
        "forward_passes": finished["forward_passes"], "sequences": finished["sequences"], "shards": shards,
    }  # fmt: skip
    options.in_this_process.write_text(json.dumps(facts), encoding="utf-8")


def peak_gb() -> float:
    """Largest resident size of this process so far, in 10^9 bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT_BYTES / 1e9


if __name__ == "__main__":
    main()
