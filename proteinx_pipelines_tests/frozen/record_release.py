"""Record a WORKDIR of a release, with the program of that release: what a user has before an upgrade.

    python -m proteinx_pipelines_tests.frozen.record_release /path/to/0.1.0/.venv/bin/proteinx release_0_1_0

The release's own commands import data, send experiments through its node and stop it while one runs and one waits.
The WORKDIR is packed whole (`workdir.tar.xz`): catalog, history, Dagster's history, stage store, experiments, an
archive, the files of the embedded Redis. The folder of the release's checkout is replaced; logs are left out.
"""

import gzip
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import time
from contextlib import closing, contextmanager
from importlib.resources import files
from pathlib import Path

HERE = Path(__file__).parent
N_VARIANTS = 160
"""Rows of the demo's measurements of protein G (MIT licence, Nisthal et al. 2019): enough for folds and a design."""
SOURCE = "GB1_Nisthal_2019"
FOLDS = ("split.method=contiguous", "split.folds=5")
SENT = (
    ("gb1-ridge", "model.name=ridge", *FOLDS),
    ("gb1-ridge", "model.name=ridge", "run.allow_duplicate=true"),
    ("gb1-gp", "model.name=gp", *FOLDS),
    ("gb1-archived", "model.name=ridge", "split.folds=3"),
    ("gb1-empty", "model.name=ridge", "data.mut_num.min=5"),
)
"""Experiments that end before the node is stopped, with their flags; the last one fails."""
RUNNING = (
    "gb1-running", "model.name=mlp", "model.hidden_dims=[8]", "train.max_epochs=100", "train.patience=null",
    "trainer.accelerator=cpu",
)  # fmt: skip
WAITING = ("gb1-waiting", "model.name=ridge", "split.seed=7")
_PATIENCE_S = 180.0


def main() -> None:
    """Record, replace names, pack."""
    program, target = Path(sys.argv[1]).absolute(), HERE / sys.argv[2]
    folder = Path(tempfile.gettempdir()) / target.name.replace(
        "_", "-"
    )  # stands in files whose digests are kept
    folder.mkdir()
    workdir = folder / "workdir_compute"
    record(program, folder, workdir)
    shutil.rmtree(workdir / "logs")
    (workdir / "logs").mkdir()
    replace_folder(workdir, str(program.parents[2]))
    with tarfile.open(target / "workdir.tar.xz", "w:xz", preset=9) as tar:
        tar.add(workdir, "workdir_compute", filter=plain)
    shutil.rmtree(folder)


def record(program: Path, folder: Path, workdir: Path) -> None:
    """Do what a user of the release does, with its own commands."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PROTEINX_", "DAGSTER_", "PYTHON"))
    } | {"PROTEINX_WORKDIR": str(workdir), "PROTEINX_NODE_NAME": "node-1", "PROTEINX_WEB_PORT": "0"}
    environment.pop("REDIS_URL", None)

    def typed(*words: str, exit_code: int = 0) -> str:
        done = subprocess.run(
            [program, *words], env=environment, cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == exit_code, (words, done.stdout, done.stderr)
        return done.stdout

    write_measurements(folder)
    typed("db", "import", f"{SOURCE}.csv")
    with node([str(program), "up", "--no-web"], environment, folder):
        for name, *flags in SENT:
            failed = int(name == "gb1-empty")
            typed("submit", "--id", name, "--wait", f"data.source={SOURCE}", *flags, exit_code=failed)
        typed("experiment", "archive", "gb1-archived")
        for name, *flags in (RUNNING, WAITING):
            typed("submit", "--id", name, f"data.source={SOURCE}", *flags)
        until(lambda: any((workdir / "staging").rglob("*.ckpt")), "a checkpoint")


def write_measurements(folder: Path) -> None:
    """The first variants of the demo's file, with its template beside it."""
    data = files("proteinx_pipelines.demo") / "data"
    lines = (
        gzip.decompress((data / f"{SOURCE}.csv.gz").read_bytes()).decode("utf-8").splitlines(keepends=True)
    )
    (folder / f"{SOURCE}.csv").write_text("".join(lines[: N_VARIANTS + 1]), encoding="utf-8")
    (folder / f"{SOURCE}.json").write_bytes((data / f"{SOURCE}.json").read_bytes())


@contextmanager
def node(words, environment, folder):
    """The release's node, stopped as by Ctrl-C."""
    with (folder / "node.log").open("wb") as log:
        started = subprocess.Popen(words, env=environment, cwd=folder, stdout=log, stderr=log)
    try:
        until(lambda: b"Submit with" in (folder / "node.log").read_bytes(), "the node")
        yield
    finally:
        started.send_signal(signal.SIGINT)
        started.wait(timeout=60)


def until(ready, noun: str) -> None:
    """Wait for something that the release does."""
    end = time.monotonic() + _PATIENCE_S
    while not ready():
        assert time.monotonic() < end, f"waited in vain for {noun}"
        time.sleep(0.05)


def replace_folder(workdir: Path, checkout: str) -> None:
    """Replace the folder of the checkout by a text of the same length, which leaves Redis' file whole."""
    place = f"/opt/{'release' * 20}"[: len(checkout)]
    paths = [path for path in workdir.rglob("*") if path.is_file()]
    databases = [path for path in paths if path.read_bytes().startswith(b"SQLite format 3")]
    for path in databases:
        replace_in_database(path, checkout, place)
    for path in (path for path in paths if path not in databases and path.exists()):
        content = path.read_bytes()
        if checkout.encode() in content:
            path.write_bytes(content.replace(checkout.encode(), place.encode()))


def replace_in_database(path: Path, checkout: str, place: str) -> None:
    """Replace a text in every column of every table, and fold the journal into the file."""
    with closing(sqlite3.connect(path)) as database:
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for _, column, *_ in database.execute(f'PRAGMA table_info("{table}")').fetchall():
                database.execute(
                    f'UPDATE "{table}" SET "{column}" = replace("{column}", ?, ?) '
                    f'WHERE typeof("{column}") = \'text\' AND instr("{column}", ?)',
                    (checkout, place, checkout),
                )
        database.commit()
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.execute("VACUUM")


def plain(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """A member without owner, a link of the store among them; sockets, locks and journals of databases stay out."""
    if not (member.isfile() or member.isdir() or member.islnk()) or member.name.endswith(
        (".lock", "-wal", "-shm")
    ):
        return None
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


if __name__ == "__main__":
    main()
