"""2.5 million rows out of SQLite into `data/selected.parquet`, beside `pandas.read_sql`; and the same selection again.

Ours is the selection stage and its codec: conditions from flags under an authorizer, rows through ADBC, types checked,
Parquet (zstd) written, synced and renamed. The peer is `pandas.read_sql` of the same SELECT on a plain sqlite3
connection, then `to_parquet`. "Again" is what another experiment with the same selection pays: its plan, the stored
files taken over, and the rows loaded by the next stage. Memory is the peak of a process that does nothing else.
"""

import resource
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pandas as pd
from measure import Figure, Goal, Spread, arguments_of, in_turn, report
from variants import SOURCE, template, write_csv

from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines.execution.attempt import Attempt
from proteinx_pipelines.experiment_dir.codecs import selection as codec
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.node.lifecycle.planning import plan_experiment
from proteinx_pipelines.settings import Settings, load_settings
from proteinx_pipelines.stages.selection import select_variants

FLAGS = {"data.source": SOURCE}
_PEER_SQL = (
    "SELECT source_text AS source, mutant, DMS_score, DMS_score_bin, mut_num FROM mutations "
    "JOIN sources ON mutations.source = sources.id WHERE source_text = ? ORDER BY mutations.source, mutations.id"
)


def main() -> None:
    options = arguments_of(
        __doc__,
        lambda p: p.add_argument("--rows", type=int, default=2_500_000),
        lambda p: p.add_argument(
            "--only-select-in", type=Path, help="select once, print the peak memory, end"
        ),
    )
    if options.only_select_in:
        ours(options.only_select_in)
        print(own_peak_mb())
        return
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        settings = load_settings({"PROTEINX_WORKDIR": folder}, root)
        import_file(
            settings.database_path, write_csv(root / f"{SOURCE}.csv", options.rows), template=template()
        )
        sides = {"ours": lambda: ours(root)}
        if options.peers:
            sides["peer"] = lambda: peer(settings.database_path, root / "peer.parquet")
        seconds = in_turn(sides, options.repeats)
        select_once(settings)
        again = in_turn({"again": lambda: select_again(settings)}, options.repeats)["again"]
        memory = peak_mb(root)
    what = f"{options.rows:,} rows out of SQLite into Parquet"
    report(
        "selection",
        [
            Figure(
                "selection.to_parquet", what, "s", seconds["ours"], seconds.get("peer"), "pandas read_sql, to_parquet",
                (Goal("ours", "<=", 1), Goal("ratio", ">=", 5)), {"rows": options.rows},
            ),
            Figure(
                "selection.memory", f"{what}: peak memory", "MB", Spread.of([memory]), goals=(Goal("ours", "<=", 500),)
            ),
            Figure("selection.again", "the same selection again", "s", again, goals=(Goal("ours", "<=", 0.15),)),
        ],
        options.out,
    )  # fmt: skip


def ours(root: Path) -> None:
    """The stage and its files."""
    settings = load_settings({"PROTEINX_WORKDIR": str(root)}, root)
    record = select_variants(settings.database_path, parse_flags(FLAGS).data)
    codec.save(record, ExperimentDir(settings.experiments_dir, "by-hand"))


def peer(database: Path, target: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        pd.read_sql(_PEER_SQL, connection, params=(SOURCE,)).to_parquet(target, compression="zstd")


def select_once(settings: Settings) -> None:
    """An experiment that leaves its selection in the store."""
    attempt = Attempt(settings, "first", parse_flags(FLAGS))
    attempt.publish(attempt.run_stage("selection", attempt.record))
    attempt.close()


_numbers = iter(range(1_000_000))


def select_again(settings: Settings) -> None:
    """Another experiment with the same selection, up to its rows in memory."""
    name, flags = f"again-{next(_numbers)}", parse_flags(FLAGS)
    plan = plan_experiment(settings, name, flags, None)
    attempt = Attempt(settings, name, flags)
    attempt.take_planned(plan.document())
    assert "selection" not in plan.to_compute, plan
    assert attempt.record("selection").rows.num_rows
    attempt.close()


def peak_mb(root: Path) -> float:
    """Greatest resident size, in MB, of a process that selects once, its imports included."""
    command = [sys.executable, __file__, "--only-select-in", str(root)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def own_peak_mb() -> float:
    """Greatest resident size of this process since it is this program: `ru_maxrss` remembers who started it."""
    status = Path("/proc/self/status")
    if status.exists():
        found = next(
            line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM")
        )
        return int(found.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
