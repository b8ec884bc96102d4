"""A node whose Dagster history is in PostgreSQL: `make chaos SCENARIO=history_in_postgres`, a minute.

By the settings of `docs/operations.md`, in a `dagster.yaml` that the node leaves as it is. Needs `dagster-postgres` and
`psycopg2-binary`, which are no dependency of this package.
"""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
import yaml

from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines.node.processes.workdir import prepare_workdir
from proteinx_pipelines.settings import load_settings
from proteinx_pipelines_tests.chaos.trials import how_often
from proteinx_pipelines_tests.postgres import running_postgres
from proteinx_pipelines_tests.story.conftest import DEMO, Node

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operations.md"
FLAGS = {"data": {"source": "GB1_Nisthal_2019", "limit": 100}, "evaluate": {"bootstrap": 0, "plots": False}}
OURS = ("event_log_storage", "run_storage", "schedule_storage")


def test_the_page_names_what_takes_the_place_of_our_own_storages(tmp_path: Path) -> None:
    settings = load_settings({"PROTEINX_WORKDIR": str(tmp_path / "w")}, tmp_path)
    prepare_workdir(settings)
    written = yaml.safe_load((settings.dagster_home / "dagster.yaml").read_text(encoding="utf-8"))
    assert {name for name in written if name.endswith("_storage")} == set(OURS)
    assert set(page_settings()) == {"storage"}
    section = PAGE.read_text(encoding="utf-8").partition("### Dagster's history elsewhere")[2]
    assert all(f"`{name}`" in section.partition("```yaml")[0] for name in OURS)


def page_settings() -> dict[str, dict[str, dict[str, dict[str, object]]]]:
    """The settings of the page."""
    text = re.findall(r"```yaml\n(storage:.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[0]
    return dict(yaml.safe_load(text))


@pytest.mark.story
@pytest.mark.skipif(not how_often(0, 1), reason="with CHAOS_FULL only: a whole node")
def test_experiments_run_and_their_history_is_there(tmp_path: Path) -> None:
    pytest.importorskip("dagster_postgres", reason="pip install dagster-postgres psycopg2-binary")
    settings = load_settings({"PROTEINX_WORKDIR": str(tmp_path / "w")}, tmp_path)
    prepare_workdir(settings)
    file = settings.dagster_home / "dagster.yaml"
    with running_postgres() as url:
        where, wanted = urlsplit(url), page_settings()
        wanted["storage"]["postgres"]["postgres_db"].update(
            hostname=where.hostname, port=where.port, username=where.username, db_name="postgres"
        )
        kept = {
            name: value
            for name, value in yaml.safe_load(file.read_text(encoding="utf-8")).items()
            if name not in OURS
        }
        file.write_text(yaml.safe_dump({**kept, **wanted}), encoding="utf-8")
        edited = file.read_bytes()
        import_file(settings.database_path, next(DEMO.glob("GB1*.csv.gz")))
        node = Node(settings.workdir, {"DAGSTER_PG_PASSWORD": "none-is-asked-for"})
        node.start()
        try:
            for number in range(2):
                result = node.run(f"e{number}", {**FLAGS, "split": {"seed": number}})
                assert result["status"] == "SUCCEEDED", result
        finally:
            node.stop()
        assert file.read_bytes() == edited
        engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg2://"))
        with engine.connect() as connection:
            ended = connection.execute(sa.text("SELECT count(*) FROM runs WHERE status = 'SUCCESS'")).scalar()
        engine.dispose()
        assert ended == 2
        assert not list(settings.dagster_home.rglob("runs.db"))
