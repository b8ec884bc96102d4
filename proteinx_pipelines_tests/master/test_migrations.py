"""Migrations of the Master's database: every older shape ends as a new one begins, and nothing in it is lost."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from click.testing import CliRunner
from sqlalchemy import Connection, Engine, create_engine, insert, inspect, select, text, update

from proteinx_pipelines.cli.master import master
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.master.database import migrating
from proteinx_pipelines.master.database.engine import MasterStateError, engine_of, open_database
from proteinx_pipelines.master.database.facts import is_paused, set_fact
from proteinx_pipelines.master.database.job_tables import jobs
from proteinx_pipelines.master.database.migrations.versions import v0001_tables as first
from proteinx_pipelines.master.database.tables import REVISION, SCHEMA, facts
from proteinx_pipelines.master.jobs.flag_rows import follow_defaults
from proteinx_pipelines.master.jobs.flat_flags import flat_defaults, flat_document, spelt
from proteinx_pipelines.master.jobs.listing import JobFilter, list_jobs
from proteinx_pipelines_tests.postgres import running_postgres

FOLDS = flat_defaults()["split.folds"]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with running_postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return tmp_path / "master.db"
    url: str = request.getfixturevalue("server")
    with create_engine(url.replace("postgresql:", "postgresql+psycopg:")).begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    return url


def old_row(name: str, flags: ExperimentFlags, **more: Any) -> dict[str, Any]:
    nested = flags.nested()
    return {
        "job_id": f"j-{name}", "kind": "experiment", "experiment_id": name, "state": "SUCCEEDED", "place": 1.0,
        "flags": nested, "flat": {"data.source": "GB1", **flat_document(nested)}, "source": "GB1", "model": "ridge",
        "created_at": "2026-01-01T00:00:00.000+00:00", "updated_at": "2026-01-01T00:00:00.000+00:00", **more,
    }  # fmt: skip


def make_first(engine: Engine) -> None:
    """The database of the first Master, with a life in it."""
    plain = old_row("plain", parse_flags({"data.source": "GB1"}), summary={"test/spearman": 0.5})
    other = old_row(
        "other",
        parse_flags({"data.source": "GB1", "split.folds": 7}),
        summary={"test/spearman": 0.9, "n": None},
    )
    config = {"lr": 0.1, "split.folds": FOLDS, "note": "x" * 5_000}
    run = {**old_row("run", parse_flags({"data.source": "GB1"})), "kind": "run", "flags": config}
    run["flat"] = {name: spelt(value) for name, value in config.items()}
    with engine.begin() as connection:
        first.metadata.create_all(connection)
        for row in (plain, other, run):
            connection.execute(insert(first.jobs), row)
        connection.execute(insert(first.facts), [{"name": "schema_version", "value": 1}])
        connection.execute(insert(first.facts), [{"name": "queue.paused", "value": True}])


def differences(connection: Connection) -> list[Any]:
    """What Alembic would change to make this database that of `tables`."""

    def is_here(_thing: object, name: str | None, *_more: object) -> bool:
        return connection.dialect.name == "sqlite" or name != "idx_jobs_list"

    context = MigrationContext.configure(connection, opts={"include_object": is_here})
    return compare_metadata(context, SCHEMA)


def found(connection: Connection, **query: str) -> list[str]:
    page = list_jobs(
        connection, JobFilter.parse(query), sort=query.get("sort", "created_at"), page=1, size=10
    )
    assert page.total == len(page.items)
    return [item["experiment_id"] for item in page.items]


def test_the_first_database_is_migrated_with_all_that_is_in_it(place: Path | str) -> None:
    before = engine_of(place)
    make_first(before)
    before.dispose()
    engine = open_database(place)
    with engine.begin() as connection:
        assert is_paused(connection)
        assert migrating.revision_of(connection) == REVISION
        assert differences(connection) == []
        assert follow_defaults(connection) == []
        assert found(connection) == ["plain", "other", "run"]
        assert found(connection, **{"flag.split.folds": FOLDS}) == ["plain", "run"]
        assert found(connection, **{"flag.split.folds": "7"}) == ["other"]
        assert found(connection, **{"flag.train.seed": flat_defaults()["train.seed"]}) == ["plain", "other"]
        assert found(connection, **{"flag.note": "x" * 5_000}) == ["run"]
        assert found(connection, **{"metric.test/spearman.min": "0.6"}) == ["other"]
        assert found(connection, sort="-metric.test/spearman") == ["other", "plain", "run"]
        rows = connection.execute(select(jobs).order_by(jobs.c.number)).mappings().all()
        assert [row["flags"]["split"]["folds"] for row in rows[:2]] == [None, 7]
        connection.execute(update(jobs).values(priority=1))
    engine.dispose()
    again = open_database(place)  # opened once more, it stays as it is
    with again.begin() as connection:
        assert found(connection, sort="priority") == ["plain", "other", "run"]
    again.dispose()


def test_sources_of_old_jobs_are_found_one_by_one_and_rows_without_a_job_are_gone(place: Path | str) -> None:
    engine = engine_of(place)
    make_first(engine)
    several = old_row("several", parse_flags({"data.source": ["GB1", "GFP"]}), source="GB1, GFP")
    with engine.begin() as connection:
        connection.execute(insert(first.jobs), several)
    engine.dispose()
    engine = open_database(place)
    with engine.begin() as connection:
        assert found(connection, source="GFP") == ["several"]
        connection.execute(text("DELETE FROM jobs WHERE experiment_id = 'several'"))
        connection.execute(text("DROP TABLE source_lists"))
        connection.execute(text("DROP TABLE lent"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0003'"))
    engine.dispose()
    engine = open_database(place)  # as one in which a job was deleted before
    with engine.begin() as connection:
        assert found(connection, source="GFP") == []
        assert found(connection, **{"flag.data.source": '["GB1", "GFP"]'}) == []
    engine.dispose()


def test_a_new_database_has_the_same_shape_as_a_migrated_one(place: Path | str) -> None:
    engine = open_database(place)
    with engine.begin() as connection:
        assert differences(connection) == []
        has_copy = "idx_jobs_list" in {index["name"] for index in inspect(connection).get_indexes("jobs")}
    assert has_copy is (engine.dialect.name == "sqlite")
    engine.dispose()


def test_a_database_of_a_newer_program_is_refused_by_name_and_not_touched(place: Path | str) -> None:
    engine = open_database(place)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(
        MasterStateError, match=r"revision 9999, written by a newer program.*Install the newer"
    ):
        open_database(place)
    engine = engine_of(place)
    with engine.begin() as connection:
        assert migrating.revision_of(connection) == "9999"
    engine.dispose()


def test_a_migration_that_fails_leaves_the_database_as_it_was(
    place: Path | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engine_of(place)
    make_first(engine)

    def fail() -> dict[str, str]:
        raise OSError("the disk is full")

    monkeypatch.setattr("proteinx_pipelines.master.jobs.flat_flags.flat_defaults", fail)
    with pytest.raises(OSError, match="disk is full"):
        open_database(place)
    monkeypatch.undo()
    with engine.begin() as connection:
        assert not inspect(connection).has_table("job_flags")
        assert migrating.revision_of(connection) is None
    engine.dispose()
    after = open_database(place)
    with after.begin() as connection:
        assert found(connection) == ["plain", "other", "run"]
    after.dispose()


def test_the_newest_revision_is_the_one_that_the_tables_name() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrating.__file__).with_name("migrations")))
    assert ScriptDirectory.from_config(config).get_heads() == [REVISION]


def test_a_program_from_before_migrations_refuses_a_migrated_database(place: Path | str) -> None:
    """It reads `schema_version`, knows 1, and says that a newer program is needed."""
    engine = engine_of(place)
    make_first(engine)
    engine.dispose()
    engine = open_database(place)
    with engine.begin() as connection:
        version = connection.execute(select(facts.c.value).where(facts.c.name == "schema_version")).scalar()
    assert version == 2
    engine.dispose()


def test_a_default_that_changes_does_not_change_what_old_jobs_meant(tmp_path: Path) -> None:
    engine = engine_of(tmp_path / "master.db")
    make_first(engine)
    engine.dispose()
    engine = open_database(tmp_path / "master.db")
    with engine.begin() as connection:
        now = flat_defaults()
        set_fact(connection, "flag_defaults", {**now, "split.folds": "3"})  # as if 3 had been
        assert follow_defaults(connection) == ["split.folds"]
        assert found(connection, **{"flag.split.folds": "3"}) == ["plain"]
        assert found(connection, **{"flag.split.folds": "7"}) == ["other"]
        assert found(connection, **{"flag.split.folds": FOLDS}) == ["run"]
        assert follow_defaults(connection) == []
    engine.dispose()


def test_the_command_migrates_says_so_and_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROTEINX_WORKDIR", str(tmp_path))
    monkeypatch.delenv("PROTEINX_MASTER_DATABASE_URL", raising=False)
    path = tmp_path / "master" / "master.db"
    engine = engine_of(path)
    make_first(engine)
    engine.dispose()
    told = [CliRunner().invoke(master, ["--migrate-only"]) for _ in range(2)]
    assert [each.exit_code for each in told] == [0, 0], told[0].output
    assert f"revision {REVISION} now; it was 0000" in told[0].output
    assert f"revision {REVISION} already" in told[1].output
    engine = engine_of(path)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    refused = CliRunner().invoke(master, ["--migrate-only"])
    assert refused.exit_code != 0
    assert "revision 9999" in refused.output
