"""A Master that listens on a port of its own, with jobs in every state whose texts are hostile, and pages of it."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvicorn
from sqlalchemy import insert

from proteinx_pipelines.clock import timestamp, timestamp_before
from proteinx_pipelines.contract.examples import examples
from proteinx_pipelines.experiment_dir.campaign_dir import CampaignDir
from proteinx_pipelines.experiment_dir.files import write_json, write_text
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.master import events
from proteinx_pipelines.master.artifacts.plates import PROPOSALS
from proteinx_pipelines.master.database.job_tables import dispatches, jobs
from proteinx_pipelines.master.database.tables import datasets, groups, nodes, webhooks
from proteinx_pipelines.master.http.app import create_app
from proteinx_pipelines.master.master import Master
from proteinx_pipelines.master.settings import load_master_settings
from proteinx_pipelines.metrics import BUILT_IN
from proteinx_pipelines.settings import load_settings

EVIL = "<img src=x onerror=alert(1)>'\"&{{7*7}}</script>"
STATES = ("SUCCEEDED", "FAILED", "CANCELLED", "REJECTED", "HELD", "WAITING", "ASSIGNED", "RUNNING")


class Site:
    """A Master that answers on a port, and what a test does to it."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        node = load_settings({"PROTEINX_WORKDIR": str(folder / "workdir")}, folder)
        self.master = Master.open(load_master_settings(node, environment))
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(create_app(self.master), log_level="error", lifespan="on")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True
        )
        self._thread.start()
        while not self._server.started:
            time.sleep(0.02)

    def close(self) -> None:
        """Stop it; open streams end."""
        self.master.bell.stop()
        self._server.should_exit = True
        self._thread.join(20)
        self.master.close()

    def change(self, job_id: str, event: str = "job.state", **values: object) -> None:
        """Change a job as dispatch does: the row and its event in one transaction."""

        def work(connection) -> None:
            connection.execute(
                jobs.update().where(jobs.c.job_id == job_id).values(**values, updated_at=timestamp())
            )
            events.record(connection, event, {}, job_id=job_id)

        self.master.database.write(work)

    def add(self, rows: list[dict[str, object]]) -> None:
        """Write jobs."""
        self.master.database.write(lambda connection: connection.execute(insert(jobs), rows))


def job_row(number: int, state: str, **more: object) -> dict[str, object]:
    """A row of `jobs`."""
    name, age = f"gb1-ridge-{number:05d}", 10_000.0 - number
    flags = parse_flags({"data.source": "GB1", "model.name": "ridge", "split.seed": number % 5})
    has_ended, has_begun = state in STATES[:4], state not in ("HELD", "WAITING", "REJECTED")
    row = {
        "job_id": f"j-{number:016x}",
        "kind": "experiment",
        "experiment_id": name,
        "state": state,
        "priority": 0,
        "place": float(number),
        "flags": flags.nested(),
        "source": "GB1",
        "model": "ridge",
        "node": "node-1" if has_begun else None,
        "stage": "train" if state == "RUNNING" else None,
        "progress": 0.4 if state == "RUNNING" else None,
        "created_by": "local",
        "token": 1,
        "summary": {"test/spearman": 0.5 + number / 1e5} if state == "SUCCEEDED" else None,
        "error_code": None,
        "error_message": None,
        "created_at": timestamp_before(age),
        "updated_at": timestamp_before(age),
        "started_at": timestamp_before(age - 1) if has_begun else None,
        "finished_at": timestamp_before(age - 21) if has_ended else None,
    }
    return {**row, **more}


def fill(site: Site) -> None:
    """Two jobs in each state, one of them with hostile texts everywhere; two nodes; a group and a webhook."""
    rows = []
    for number, state in enumerate(STATES, start=1):
        rows.append(job_row(number, state))
        error = {"error_code": "unknown_source", "error_message": f"There is no source {EVIL}."}
        rows.append(
            job_row(
                number + 100,
                state,
                experiment_id=f"evil-{state.lower()}",
                source=EVIL,
                model=EVIL,
                created_by=EVIL,
                note=EVIL,
                reason=EVIL if state == "HELD" else None,
                flags={"data": {"source": [EVIL]}, "ext": {"note": EVIL}},
                group_id="g-1",
                **(error if state in ("FAILED", "REJECTED") else {}),
            )
        )
    flags = {"lr": 0.1, "model": EVIL, EVIL: [EVIL]}
    rows.append(
        job_row(
            0x999,
            "RUNNING",
            kind="run",
            experiment_id="own-code",
            flags=flags,
            source=None,
            model=None,
            stage=None,
        )
    )
    site.add(rows)
    leave_files(site)
    example = examples()

    def others(connection) -> None:
        for name, beat in (("node-1", "heartbeat.busy"), (EVIL, "heartbeat.idle")):
            document = {**example[beat].model_dump(mode="json"), "note": EVIL}
            connection.execute(
                insert(nodes).values(
                    name=name,
                    is_drained=False,
                    is_lost=name == EVIL,
                    first_seen=timestamp(),
                    last_seen=timestamp(),
                    heartbeat=document,
                    capabilities={
                        "labels": [EVIL],
                        "models": ["ridge", "gp", "boosting"],
                        "metrics": [*BUILT_IN],
                        "embedders": [{"name": "onehot", "weights": "none"}],
                    },
                    gpu_usage=example["gpu_usage"].model_dump(mode="json"),
                )
            )
        connection.execute(
            insert(groups).values(group_id="g-1", name=EVIL, description=EVIL, created_at=timestamp())
        )
        understood = {
            "source": EVIL,
            "rows": 3,
            "score_range": [0.0, 1.0],
            "problems": [EVIL],
            "skipped": [EVIL],
            "template": EVIL,
            "template_length": 9,
            "first_rows": [{"mutant": EVIL, "DMS_score": 1.0}],
            "histogram": {"counts": [1, 2], "edges": [0.0, 0.5, 1.0]},
            "per_position": {"V2": 2, "K3": 1},
            "understood": {"form": EVIL},
            "options": {},
        }
        connection.execute(
            insert(datasets).values(
                dataset_id="evil",
                name=EVIL,
                version=1,
                sha256="0" * 64,
                file_name=EVIL,
                size=10,
                understood=understood,
                created_by=EVIL,
                created_at=timestamp(),
            )
        )
        connection.execute(
            insert(webhooks).values(
                webhook_id="w-1",
                url=f"https://example.org/{EVIL}",
                events=["job.state"],
                secret="whsec_x",
                kind="http",
                is_on=True,
                created_by=EVIL,
                created_at=timestamp(),
            )
        )
        connection.execute(
            insert(dispatches).values(
                job_id="j-0000000000000066",
                token=1,
                node=EVIL,
                assigned_at=timestamp_before(50),
                ended_at=timestamp(),
                outcome="FAILED",
                error_code="lost",
                error_message=EVIL,
            )
        )

    site.master.database.write(others)


def leave_files(site: Site) -> None:
    """A job that has designed a plate, and a campaign, as the node on this machine leaves them."""
    node = site.master.settings.node
    site.add([job_row(0x700, "SUCCEEDED", experiment_id="designed", node=node.node_name)])
    directory = ExperimentDir(node.experiments_dir, "designed")
    write_json(directory.pipeline, examples()["pipeline"].document())
    write_json(directory.query, {"database": EVIL, "sql": EVIL, "parameters": [EVIL], "rows": 3})
    header = "rank,well,mutant,prediction,low,high,p_better_than_wild_type,stability,reason"
    quoted = EVIL.replace('"', '""')
    lines = [f'0,A1,WT,,,,,,"control {quoted}"', '1,A2,V2A,1.25,1,1.5,0.9,0.75,"best"']
    lines += [f'2,2-H12,"{quoted}",0.75,0.5,1,0.6,0.5,"{quoted}"']
    write_text(directory.path(PROPOSALS), "\n".join([header, *lines, ""]))
    campaign = examples()["campaign"].model_copy(update={"campaign_id": "lab", "first_source": EVIL})
    CampaignDir(node.paths.campaigns_dir, "lab").write(campaign)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The Master of this test process: only this machine reaches it, so no token is needed."""
    opened = Site(tmp_path_factory.mktemp("site"), {})
    fill(opened)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def closed_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A Master that needs a token."""
    opened = Site(tmp_path_factory.mktemp("closed"), {"PROTEINX_TOKEN": "px_secret-of-the-operator"})
    yield opened
    opened.close()


@pytest.fixture
def visit(browser, site: Site) -> Iterator[Callable[..., object]]:
    """Opens a page of the site; a message of the console, a failed script or a request elsewhere fails the test."""
    told: list[str] = []
    contexts = []

    def open_page(
        path: str, *, width: int = 1280, scheme: str = "light", base: str = site.address, **options
    ):
        context = browser.new_context(
            viewport={"width": width, "height": 860}, color_scheme=scheme, **{"locale": "en-US", **options}
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: told.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: told.append(str(error)))
        page.on("request", lambda asked: None if asked.url.startswith(base) else told.append(asked.url))
        page.goto(base + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert told == []
