"""What a re-run costs, on the 149,360 variants of GB1 at four sites (SPG1_STRSG_Wu_2016).

Three executions in one WORKDIR: all but 1 % of the rows; the same with another split; the same after the
remaining 1 % has been added to the database. Asserted are the counts: the second asks the database nothing and embeds
nothing, the third embeds exactly the added sequences. Times are reported beside the first's; each is taken once, as
only the first of two equal executions computes anything. The embedder is ESM-2 t6 with
random weights on the 56 residues of the domain (residue 265 of the full protein is 39 of it); the planning and
the stages are those of the node, in this process, without Dagster.

    python benchmarks/rerun.py                    # 6,000 variants: about a minute on 2 cores
    python benchmarks/rerun.py --limit 149360     # all of them: about ten minutes
"""

import sqlite3
import tempfile
import time
from argparse import Namespace
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow as pa
import pyarrow.csv
import torch
from esm.model.esm2 import ESM2
from measure import SHARED_DATA, Figure, Goal, Spread, arguments_of, need, report

from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines.execution.attempt import Attempt
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.node.lifecycle.planning import plan_experiment
from proteinx_pipelines.pipeline.entries import StageEntry
from proteinx_pipelines.settings import Settings, load_settings
from proteinx_pipelines.stages import selection
from proteinx_pipelines.stages.embedding import esm2_engine

SOURCE = "SPG1_STRSG_Wu_2016"
DOMAIN = "DQYKLILNGKTLKGETTTEAVDAATAEKVFKQYANDNGVDGEWTYDDATKTFTVTE"
OFFSET = 226
"""Position in the full protein minus position in the domain."""
ADDED_FRACTION = 0.01
LARGE = 100_000
"""Variants from which on a change is to cost at most a twentieth; fewer are dominated by what every execution costs."""


def main() -> None:
    options = parse_options()
    torch.set_num_threads(options.threads)
    rows = variants(need(options.assays / f"{SOURCE}.csv.gz"), options.limit)
    n_added = max(1, round(ADDED_FRACTION * rows.num_rows))
    repeats = [one_repeat(options, rows, n_added) for _ in range(options.repeats)]
    show(repeats[-1], rows.num_rows, n_added)
    report("rerun", figures(repeats, rows.num_rows, n_added, options), options.out)


def one_repeat(options: Namespace, rows: pa.Table, n_added: int) -> dict[str, dict[str, Any]]:
    """The three executions in a WORKDIR of their own, in which nothing has been computed yet."""
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        settings = load_settings({"PROTEINX_WORKDIR": folder}, Path(folder))
        first, added = rows.slice(0, rows.num_rows - n_added), rows.slice(rows.num_rows - n_added)
        fill(settings, first, Path(folder))
        weights = checkpoint(Path(folder) / "esm2_t6_8M_UR50D.pt")
        embedding = {
            "embedding.weights": str(weights),
            "embedding.layer": options.layer,
            "embedding.window": options.window,
        }
        runs = {
            name: execute(settings, embedding, seed=k) for k, name in enumerate(("first", "another split"))
        }
        add(settings.database_path, added)
        runs["rows added"] = execute(settings, embedding, seed=1)
    check(runs, first.num_rows, n_added)
    return runs


def parse_options() -> Namespace:
    return arguments_of(
        __doc__,
        lambda p: p.add_argument("--limit", type=int, default=6000, help="variants; 149360 is all of them"),
        lambda p: p.add_argument("--layer", type=int, default=6, help="transformer layer that is taken"),
        lambda p: p.add_argument(
            "--window", type=int, help="residues around the mutations; all 56 when left out"
        ),
        lambda p: p.add_argument("--threads", type=int, default=torch.get_num_threads()),
        lambda p: p.add_argument("--assays", type=Path, default=SHARED_DATA / "assays"),
        lambda p: p.add_argument(
            "--folder", type=Path, help="where the WORKDIR is made; 1 GB for all variants"
        ),
    )


def figures(
    repeats: list[dict[str, dict[str, Any]]], n_variants: int, n_added: int, options: Namespace
) -> list[Figure]:
    """What a change costs, beside what the whole experiment cost in the same run."""
    seconds = {name: Spread.of([runs[name]["seconds"] for runs in repeats]) for name in repeats[0]}
    facts = {"variants": n_variants, "added": n_added, "layer": options.layer, "window": options.window}
    goals = (Goal("ratio", ">=", 20),) if n_variants >= LARGE else ()
    changes = {"another split": "rerun.split", "rows added": "rerun.rows_added"}
    return [
        Figure(
            f"{id_}_{n_variants}", f"{name}: again with {n_variants:,} variants", "s",
            seconds[name], seconds["first"], "the whole experiment", goals, {**facts, **repeats[-1][name]},
        )
        for name, id_ in changes.items()
    ]  # fmt: skip


def variants(file: Path, limit: int) -> pa.Table:
    """Mutants and scores in a fixed order that mixes the four sites: every 61st row, around and around."""
    table = pyarrow.csv.read_csv(file).select(["mutant", "DMS_score"])
    order = [(k * 61) % table.num_rows for k in range(min(limit, table.num_rows))]
    return table.take(pa.array(order))


def fill(settings: Settings, rows: pa.Table, folder: Path) -> None:
    """A catalog of these rows, imported as a user would."""
    file = folder / f"{SOURCE}.csv"
    pyarrow.csv.write_csv(rows, file)
    import_file(settings.database_path, file, template=DOMAIN, offset=OFFSET)


def add(database: Path, rows: pa.Table) -> None:
    """Add rows to the source that is there; positions are counted in the domain there."""
    with sqlite3.connect(database) as connection:
        for row in rows.to_pylist():
            parts = [f"{part[0]}{int(part[1:-1]) - OFFSET}{part[-1]}" for part in row["mutant"].split(":")]
            connection.execute(
                "INSERT INTO mutations(mutant, DMS_score, mut_num, source) VALUES (?, ?, ?, 1)",
                (":".join(parts), row["DMS_score"], len(parts)),
            )


def checkpoint(path: Path) -> Path:
    """ESM-2 t6 with fair-esm's random initialization."""
    torch.manual_seed(0)
    model = ESM2(num_layers=6, embed_dim=320, attention_heads=20, alphabet="ESM-1b")
    facts = Namespace(encoder_layers=6, encoder_embed_dim=320, encoder_attention_heads=20, token_dropout=True)
    tensors = {f"encoder.sentence_encoder.{name}": tensor for name, tensor in model.state_dict().items()}
    torch.save({"cfg": {"model": facts}, "model": tensors}, path)
    return path


def execute(settings: Settings, embedding: dict[str, Any], *, seed: int) -> dict[str, Any]:
    """Plan and run one generation as the node does; what was computed, what it took, and what was asked for."""
    flags = parse_flags(
        {
            "data.source": SOURCE, "embedding.name": "esm2_t6_8M_UR50D", **embedding,
            "split.seed": seed, "evaluate.bootstrap": 50, "evaluate.plots": False,
        }
    )  # fmt: skip
    with (
        mock.patch.object(selection, "select_variants", wraps=selection.select_variants) as queries,
        mock.patch.object(
            esm2_engine.Esm2Engine, "embed", autospec=True, side_effect=esm2_engine.Esm2Engine.embed
        ) as forward,
    ):
        started = time.perf_counter()
        plan = plan_experiment(settings, "gb1", flags, None)
        planned = time.perf_counter()
        attempt = Attempt(settings, "gb1", flags)
        attempt.take_planned(plan.document())
        entries = {
            stage: attempt.publish(attempt.run_stage(stage, attempt.record)) for stage in plan.to_compute
        }
        attempt.close()
        seconds = time.perf_counter() - started
    computed = {stage: entry for stage, entry in entries.items() if entry.action == "computed"}
    in_stages = sum(entry.seconds for entry in computed.values())
    return {
        "run": list(plan.to_compute), "computed": list(computed), "queries": queries.call_count,
        "embedder_calls": forward.call_count, "sequences_embedded": embedded(entries),
        "seconds": round(seconds, 3), "seconds_planning": round(planned - started, 3),
        "seconds_by_stage": {stage: entry.seconds for stage, entry in computed.items()},
        "seconds_overhead": round(seconds - in_stages, 3),
    }  # fmt: skip


def embedded(entries: dict[str, StageEntry]) -> int:
    entry = entries.get("embedding")
    return int(entry.details["sequences_computed"]) if entry is not None and entry.action == "computed" else 0


def check(runs: dict[str, dict[str, Any]], n_first: int, n_added: int) -> None:
    """The promise, as counts."""
    again, grown = runs["another split"], runs["rows added"]
    assert runs["first"]["sequences_embedded"] == n_first, runs["first"]
    assert again["computed"] == ["split", "train", "evaluate"], again
    assert (again["queries"], again["embedder_calls"], again["sequences_embedded"]) == (0, 0, 0), again
    assert grown["sequences_embedded"] == n_added, grown
    assert grown["queries"] == 1, grown


def show(runs: dict[str, dict[str, Any]], n_variants: int, n_added: int) -> None:
    print(f"{n_variants:,} variants, {n_added:,} of them added at the end\n")
    print(f"{'':<15}{'computed':<52}{'queries':>8}{'embedded':>10}{'total s':>9}{'overhead s':>12}")
    for name, run in runs.items():
        print(
            f"{name:<15}{', '.join(run['computed']):<52}{run['queries']:>8}{run['sequences_embedded']:>10,}"
            f"{run['seconds']:>9.2f}{run['seconds_overhead']:>12.2f}"
        )
    for name, run in runs.items():
        stages = ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in run["seconds_by_stage"].items())
        print(f"{name}: {stages}; planning {run['seconds_planning']:.3f}")


if __name__ == "__main__":
    main()
