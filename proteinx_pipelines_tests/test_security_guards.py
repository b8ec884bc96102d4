"""Each guard against code, files and queries from outside does its work, and the same attack succeeds without it."""

import contextlib
import io
import json
import logging
import os
import pickle  # noqa: TID251  (to make what must not be unpickled)
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kombu.exceptions import ContentDisallowed
from kombu.serialization import disable_insecure_serializers, enable_insecure_serializers, loads

from proteinx_pipelines import redaction
from proteinx_pipelines.catalog import database
from proteinx_pipelines.errors import ProteinxError
from proteinx_pipelines.ledger.generation import Outcome
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.node.health.versions import FLOORS, FORBIDDEN, numbers_of
from proteinx_pipelines.node.lifecycle import failure_bundle
from proteinx_pipelines.node.lifecycle.attempt_end import finish_generation
from proteinx_pipelines.node.lifecycle.bundle_writer import bundle_writer
from proteinx_pipelines.node.processes.celery_app import make_app
from proteinx_pipelines.node.talking.connections import master_line
from proteinx_pipelines.queue.queue import connect
from proteinx_pipelines.settings import Settings, load_settings

CANARY = "canary-9b2e41"
PICKLED = "application/x-python-serialize"


class Harm:
    """What makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


# ---------------------------------------------------------------- code in messages


def test_a_pickled_task_is_refused_and_would_run_where_pickle_is_accepted(tmp_path: Path) -> None:
    accepted = make_app(load_settings({"REDIS_URL": "redis://127.0.0.1:1/0"}, tmp_path)).conf
    body = pickle.dumps(Harm(tmp_path / "harm"))
    for contents in (accepted.accept_content, accepted.result_accept_content):
        with pytest.raises(ContentDisallowed):
            loads(body, PICKLED, "binary", accept={f"application/{name}" for name in contents})
    assert not (tmp_path / "harm").exists()
    enable_insecure_serializers(["pickle"])
    try:
        loads(body, PICKLED, "binary", accept={PICKLED})
    finally:
        disable_insecure_serializers(["json"])
    assert (tmp_path / "harm").is_dir()


# ---------------------------------------------------------------- code in weights, checkpoints, vectors


def _files(folder: Path, harm: Harm) -> dict[str, Path]:
    """Everything that PyTorch has read or reads, with `harm` somewhere in it."""
    import torch

    tensors = {"w": torch.zeros(3)}
    documents = {
        "alone": harm,
        "in the state": {"state_dict": {**tensors, "x": harm}},
        "beside the state": {"state_dict": tensors, "x": harm},
        "in a list": [harm],
        "deep inside": {"model": tensors, "cfg": {"deep": (1, harm)}},
        "in the hyperparameters": {"state_dict": tensors, "hyper_parameters": {"_instantiator": harm}},
    }
    files = {}
    for name, document in documents.items():
        for new in (True, False):
            path = files[f"{name}, {'zip' if new else 'legacy'}"] = folder / f"{len(files)}.pt"
            torch.save(document, path, _use_new_zipfile_serialization=new)
    for protocol in range(6):
        path = files[f"a bare pickle, protocol {protocol}"] = folder / f"{len(files)}.pt"
        path.write_bytes(pickle.dumps({"state_dict": harm}, protocol))
    return files


def _readers() -> dict[str, Callable[[Path], Any]]:
    from proteinx_pipelines.stages.embedding.esm1_engine import read_esm1
    from proteinx_pipelines.stages.embedding.esm2_weights import read_weights
    from proteinx_pipelines.stages.embedding.file_formats import read_vectors
    from proteinx_pipelines.stages.train.checkpoint_io import AtomicCheckpointIO

    return {
        "checkpoints": AtomicCheckpointIO().load_checkpoint,
        "ESM-2 weights": lambda path: read_weights("esm2_t6_8M_UR50D", path),
        "ESM-1 weights": lambda path: read_esm1("esm1b_t33_650M_UR50S", path),
        "vectors": read_vectors,
    }


@pytest.mark.slow
@pytest.mark.parametrize("reader", ["checkpoints", "ESM-2 weights", "ESM-1 weights", "vectors"])
def test_no_reader_of_pytorch_files_runs_what_is_in_them_and_without_weights_only_each_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: str
) -> None:
    import torch

    harm, read = Harm(tmp_path / "harm"), _readers()[reader]
    files = _files(tmp_path, harm)
    for name, path in files.items():
        with pytest.raises(ProteinxError):
            read(path)
        assert not harm.folder.exists(), name
    load = torch.load
    monkeypatch.setattr(
        torch, "load", lambda *args, **options: load(*args, **{**options, "weights_only": False})
    )
    ran = 0
    for path in files.values():
        with contextlib.suppress(Exception):  # whatever comes of it: the question is what has run
            read(path)
        if harm.folder.exists():
            ran += 1
            harm.folder.rmdir()
    assert ran >= len(files) // 2


# ---------------------------------------------------------------- queries


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    path = tmp_path / "database.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "CREATE TABLE sources(id INTEGER PRIMARY KEY, source_text TEXT, template TEXT);"
            "CREATE TABLE mutations(id INTEGER PRIMARY KEY, mutant TEXT, DMS_score REAL, DMS_score_bin TEXT,"
            " mut_num INTEGER, source INTEGER);"
            "CREATE TABLE secrets(word TEXT); INSERT INTO secrets VALUES ('x');"
        )
    return path


OTHER_TABLES = (
    "SELECT word FROM secrets", "SELECT id FROM mutations UNION SELECT word FROM secrets",
    "SELECT sql FROM sqlite_master",
    "SELECT id FROM mutations WHERE id IN (SELECT word FROM secrets)", "SELECT randomblob(9)",
    "SELECT hex(mutant) FROM mutations",
    "SELECT * FROM pragma_table_info('secrets')", "SELECT sqlite_version()",
)  # fmt: skip
CHANGES = (
    "INSERT INTO secrets VALUES ('y')", "DELETE FROM mutations", "UPDATE sources SET template = 'x'",
    "DROP TABLE secrets",
    "CREATE TABLE t(x)", "ATTACH DATABASE '{folder}/new.db' AS other", "PRAGMA query_only = OFF",
    "PRAGMA user_version = 5",
    "VACUUM INTO '{folder}/copy.db'", "SELECT load_extension('x')", "BEGIN IMMEDIATE",
)  # fmt: skip


@pytest.mark.parametrize("statement", [*OTHER_TABLES, *CHANGES])
def test_the_selection_s_connection_reads_two_tables_and_nothing_else(catalog: Path, statement: str) -> None:
    before = catalog.read_bytes()
    with database.open_for_reading(catalog) as connection:
        connection.execute("SELECT count(*), max(id) FROM mutations WHERE mutant LIKE 'A%'")
        with pytest.raises(sqlite3.DatabaseError):
            connection.execute(statement.format(folder=catalog.parent)).fetchall()
    assert catalog.read_bytes() == before
    assert [path.name for path in catalog.parent.iterdir()] == ["database.db"]


@pytest.mark.parametrize("statement", OTHER_TABLES)
def test_without_the_authorizer_it_would_read_more(
    catalog: Path, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    monkeypatch.setattr(database, "_authorize", lambda *_: sqlite3.SQLITE_OK)
    with database.open_for_reading(catalog) as connection:
        connection.execute(statement).fetchall()


# ---------------------------------------------------------------- secrets


def _leak(settings: Settings) -> str:
    """Everything that a failed experiment, whose error has a secret in it, leaves for people to read."""
    state = Ledger(settings.state_path)
    state.accept(experiment_id="e", message_key="k", message_id=None, priority=0,
                 payload_ref=f"s3://user:{CANARY}@bucket/x",
                 flags={"data": {"source": ["GB1"]}, "ext": {"api_key": CANARY}},
                 raw=b"")  # fmt: skip
    settings.logs_dir.mkdir(parents=True)
    (settings.logs_dir / "worker.log").write_text(f"broker redis://u:{CANARY}@h\n", encoding="utf-8")
    error = f"redis://u:{CANARY}@h did not answer, token {CANARY}"
    current = state.latest("e")
    assert current is not None
    assert finish_generation(
        settings, state, current, Outcome("FAILED", "backend", error, f"Traceback: {error}")
    )
    (result,) = connect(settings.redis_url or "").lrange("experiments:results", 0, -1)
    assert bundle_writer().wait(60)
    (bundle,) = (settings.workdir / "failures").iterdir()
    status = connect(settings.redis_url or "").hgetall("experiments:status:e")
    again = state.latest("e")
    assert again is not None
    rows = json.dumps([again.error_message, again.trace, state.history("e")])
    return "".join([result.decode(), bundle.read_text(encoding="utf-8"), repr(status), rows, _logged(error)])


def _logged(text: str) -> str:
    stream = io.StringIO()
    handler = logging.StreamHandler(redaction.RedactingStream(stream))
    handler.emit(logging.LogRecord("celery", logging.ERROR, __file__, 1, "%s", (text,), None))
    return stream.getvalue()


@pytest.fixture
def settings(tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    connect(redis_url).flushdb()
    master_line.cache_clear()
    monkeypatch.setenv("MASTER_TOKEN", CANARY)
    monkeypatch.setenv("PROTEINX_BROKER_URL", f"redis://u:{CANARY}@127.0.0.1:1/0")
    found = load_settings({"PROTEINX_WORKDIR": str(tmp_path / "w"), "REDIS_URL": redis_url}, tmp_path)
    found.experiments_dir.mkdir(parents=True)
    return found


def test_no_output_of_a_failed_experiment_shows_a_secret(settings: Settings) -> None:
    left = _leak(settings)
    assert CANARY not in left
    assert left.count("***") > 5


def test_without_the_redaction_each_of_them_would(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redaction, "redact", lambda text, *_: text)
    monkeypatch.setattr(failure_bundle, "redact_all", lambda value, *_: value)
    assert _leak(settings).count(CANARY) > 8


# ---------------------------------------------------------------- versions


def test_the_pinned_versions_are_none_of_those_that_the_node_warns_of(repository: Path) -> None:
    lines = (repository / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = dict(re.findall(r"^([\w.-]+)==([^\s;]+)", "\n".join(lines), re.MULTILINE))
    for name, (floor, _why) in FLOORS.items():
        assert numbers_of(pinned[name]) >= numbers_of(floor), name
        assert pinned[name] not in FORBIDDEN.get(name, ())
