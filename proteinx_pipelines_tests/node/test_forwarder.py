"""A node elsewhere sends what its jobs write: live, after the Master was away, and after a restart."""

import os
import threading
import time
from pathlib import Path

import httpx2 as httpx
import pytest
from sqlalchemy import delete

from proteinx_pipelines.client.http_link import MasterRefused, MasterUnavailable
from proteinx_pipelines.experiment_dir.files import file_sha256
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.ledger.generation import Outcome
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.master.database.job_tables import jobs
from proteinx_pipelines.master.master import Master
from proteinx_pipelines.node.talking import sending_lines
from proteinx_pipelines.node.talking.forwarder import Forwarder, forwarder_of
from proteinx_pipelines.node.talking.master_http import MasterHttp
from proteinx_pipelines.node.talking.sent_notes import KEPT_S, SentNote, SentNotes
from proteinx_pipelines.settings import Settings, load_settings
from proteinx_pipelines_tests.master.conftest import master, open_master, served  # noqa: F401  # fixtures
from proteinx_pipelines_tests.master.experiments import new_job, write_event, write_metric

NOBODY = "http://127.0.0.1:9"


class Node:
    """A node elsewhere that has taken one job."""

    def __init__(self, settings: Settings, job_id: str, token: int = 1) -> None:
        self.settings, self.job_id = settings, job_id
        settings.workdir.mkdir(parents=True, exist_ok=True)
        self.state = Ledger(settings.state_path)
        self.directory = ExperimentDir(settings.experiments_dir, "gb1")
        self.take(token)

    def take(self, token: int) -> None:
        """Take a message of the job, and begin to run it."""
        current = self.state.accept(
            experiment_id="gb1", message_key=f"{self.job_id}-{token}", message_id=f"{self.job_id}/{token}", priority=0,
            payload_ref=None, flags={"data": {"source": ["GB1"]}}, raw=b"{}", reply_to=None, may_repeat=True,
        )  # fmt: skip
        self.generation = current.generation
        assert self.state.begin("gb1", current.generation, 1, run_id=f"r{token}", host_pid=1, timeout_s=None)

    def end(self) -> None:
        """End it; its files are written."""
        self.directory.artifacts_dir.mkdir(parents=True, exist_ok=True)
        self.directory.report_html.write_text("<h1>Report</h1>", encoding="utf-8")
        self.directory.final_model_dir.mkdir(parents=True, exist_ok=True)
        (self.directory.final_model_dir / "weights.bin").write_bytes(os.urandom(3_000_000))
        self.directory.checkpoints_dir.mkdir(exist_ok=True)
        (self.directory.checkpoints_dir / "last.ckpt").write_bytes(b"x")
        current = self.state.generation("gb1", self.generation)
        assert current is not None
        assert self.state.finish(
            current, Outcome("SUCCEEDED", summary={}, stages={}), f"result-{self.generation}", "{}"
        )

    def forwarder(self, address: str) -> Forwarder:
        """Its agent's forwarder, as after a start."""
        return Forwarder(self.settings, self.state, MasterHttp(address), threading.Event())


@pytest.fixture
def node(master: Master, tmp_path: Path) -> Node:  # noqa: F811
    settings = load_settings({"PROTEINX_WORKDIR": str(tmp_path / "elsewhere")}, tmp_path)
    return Node(settings, new_job(master, "gb1", node="elsewhere", state="RUNNING"))


def texts(address: str, node: Node, what: str = "logs") -> list:
    answer = httpx.get(f"{address}/api/jobs/{node.job_id}/{what}")
    name = "text" if what == "logs" else "value"
    return [httpx.Response(200, content=line).json()[name] for line in answer.text.splitlines()]


def test_lines_and_files_come_once_whatever_happens_in_between(served: str, node: Node, monkeypatch):  # noqa: F811
    monkeypatch.setattr(sending_lines, "AT_ONCE", 2)
    write_event(node.directory, "stage_started")
    write_metric(node.directory, "train/loss", 0.5)
    first = node.forwarder(served)
    first.look()
    assert texts(served, node) == ["train: stage_started"]
    for epoch in range(5):
        write_event(node.directory, "epoch", n=epoch)
        write_metric(node.directory, "train/loss", float(epoch))
    with pytest.raises(MasterUnavailable):  # the Master is away; the training goes on writing
        node.forwarder(NOBODY).look()
    first.look()
    node.end()
    again = node.forwarder(served)  # the node was restarted
    again.look()
    again.look()
    assert texts(served, node) == ["train: stage_started", *[f"train: epoch n={n}" for n in range(5)]]
    assert texts(served, node, "metrics") == [0.5, 0.0, 1.0, 2.0, 3.0, 4.0]
    files = {
        each["path"]: each for each in httpx.get(f"{served}/api/jobs/{node.job_id}/artifacts").json()["files"]
    }
    assert set(files) == {
        "artifacts/report.html", "artifacts/model/final/weights.bin", "metrics/metrics.jsonl",
        "logs/events/g1-a1.jsonl",
    }  # fmt: skip
    weights = node.directory.final_model_dir / "weights.bin"
    assert files["artifacts/model/final/weights.bin"]["sha256"] == file_sha256(weights)


def test_a_batch_whose_answer_was_lost_counts_once(served: str, node: Node, monkeypatch):  # noqa: F811
    write_event(node.directory, "stage_started")
    post = MasterHttp.post

    def lost(self, path, document=None):
        post(self, path, document)
        raise MasterUnavailable("lost")

    monkeypatch.setattr(MasterHttp, "post", lost)
    with pytest.raises(MasterUnavailable):
        node.forwarder(served).look()
    monkeypatch.setattr(MasterHttp, "post", post)
    write_event(node.directory, "saved")
    node.forwarder(served).look()
    assert texts(served, node) == ["train: stage_started", "train: saved"]


def test_an_upload_that_broke_off_goes_on_where_it_was(served: str, node: Node, monkeypatch):  # noqa: F811
    node.end()
    weights = node.directory.final_model_dir / "weights.bin"
    content = weights.read_bytes()
    address = f"{served}/api/jobs/{node.job_id}/artifacts/artifacts/model/final/weights.bin"
    httpx.put(address, content=content[:1_000_000], headers={"upload-length": str(len(content))})
    sent = []
    put = MasterHttp.put

    def counted(self, path, content, headers):
        sent.append((path.rsplit("/", 1)[-1], content.length))
        return put(self, path, content, headers)

    monkeypatch.setattr(MasterHttp, "put", counted)
    node.forwarder(served).look()
    assert ("weights.bin", 2_000_000) in sent
    assert httpx.get(address).content == content


def addresses(monkeypatch) -> list[tuple[str, str]]:
    """Methods and last parts of the addresses of all files that are sent, or asked about, from now on."""
    found: list[tuple[str, str]] = []

    def noting(name: str) -> None:
        plain = getattr(MasterHttp, name)

        def noted(self, path, *rest):
            found.append((name.upper(), path.rsplit("/", 1)[-1]))
            return plain(self, path, *rest)

        monkeypatch.setattr(MasterHttp, name, noted)

    noting("put")
    noting("head")
    return found


def test_small_files_go_in_one_request(served: str, node: Node, monkeypatch):  # noqa: F811
    """Thirty files of an experiment cost the Master sixty requests, more than all else that it did for the job."""
    node.end()
    for k in range(30):
        (node.directory.artifacts_dir / f"{k}.csv").write_bytes(os.urandom(1000 * k))
    sent = addresses(monkeypatch)
    node.forwarder(served).look()
    assert sent == [("PUT", "artifacts"), ("HEAD", "weights.bin"), ("PUT", "weights.bin")]
    assert files_at(served, node) == {
        "artifacts/report.html",
        "artifacts/model/final/weights.bin",
        *(f"artifacts/{k}.csv" for k in range(30)),
    }
    for each in httpx.get(f"{served}/api/jobs/{node.job_id}/artifacts").json()["files"]:
        content = httpx.get(f"{served}/api/jobs/{node.job_id}/artifacts/{each['path']}").content
        assert content == node.directory.path(each["path"]).read_bytes()


def files_at(address: str, node: Node) -> set[str]:
    listed = httpx.get(f"{address}/api/jobs/{node.job_id}/artifacts").json()["files"]
    return {each["path"] for each in listed}


def test_a_file_that_the_master_refuses_keeps_no_other_back(served: str, node: Node):  # noqa: F811
    node.end()
    (node.directory.artifacts_dir / "a:b.csv").write_bytes(b"no path of a job's file")
    (node.directory.artifacts_dir / "ok.csv").write_bytes(b"1")
    node.forwarder(served).look()
    assert files_at(served, node) == {
        "artifacts/report.html", "artifacts/ok.csv", "artifacts/model/final/weights.bin"
    }  # fmt: skip


def test_a_master_that_knows_no_bundles_gets_the_files_one_by_one(
    served: str,  # noqa: F811
    node: Node,
    monkeypatch,
):
    put = MasterHttp.put

    def older(self, path, content, headers):
        if path.endswith("/artifacts"):
            raise MasterRefused(405, "method_not_allowed", "Method Not Allowed", [])
        return put(self, path, content, headers)

    monkeypatch.setattr(MasterHttp, "put", older)
    node.end()
    node.forwarder(served).look()
    assert files_at(served, node) == {"artifacts/report.html", "artifacts/model/final/weights.bin"}


def test_a_bundle_whose_answer_was_lost_comes_again(served: str, node: Node, monkeypatch):  # noqa: F811
    node.end()
    (node.directory.artifacts_dir / "ok.csv").write_bytes(b"1")
    put = MasterHttp.put

    def lost(self, path, content, headers):
        put(self, path, content, headers)
        raise MasterUnavailable("lost")

    monkeypatch.setattr(MasterHttp, "put", lost)
    with pytest.raises(MasterUnavailable):
        node.forwarder(served).look()
    monkeypatch.setattr(MasterHttp, "put", put)
    node.forwarder(served).look()
    listed = httpx.get(f"{served}/api/jobs/{node.job_id}/artifacts").json()["files"]
    assert len(listed) == len({each["path"] for each in listed}) == 3


def test_a_job_that_was_given_to_the_node_again_has_the_lines_of_both(served: str, node: Node):  # noqa: F811
    write_event(node.directory, "stage_started")
    node.forwarder(served).look()
    node.end()
    node.take(2)
    write_event(node.directory, "saved")
    node.forwarder(served).look()
    assert texts(served, node)[-1] == "train: saved"


def test_jobs_that_have_been_sent_cost_nothing_at_a_look(served: str, node: Node, monkeypatch):  # noqa: F811
    """After 700 jobs, a node spent a fifth of a core on reading the notes of all of them every second."""
    node.end()
    forwarder = node.forwarder(served)
    forwarder.look()
    for k in range(50):
        done = SentNote(f"j-{k}", f"j-{k}/1", f"e{k}", 1, "2026-01-01T00:00:00Z", is_done=True)
        forwarder._notes.save(done)
    read = []
    load = SentNotes.load
    monkeypatch.setattr(SentNotes, "load", lambda self, job_id: read.append(job_id) or load(self, job_id))
    forwarder.look()
    forwarder.look()
    assert set(read) <= {node.job_id}  # which changed a moment ago
    node.forwarder(served).look()  # after a restart every note is read, once
    assert len(set(read)) == 51


def test_notes_of_jobs_that_were_sent_a_week_ago_are_removed(served: str, node: Node):  # noqa: F811
    node.end()
    node.forwarder(served).look()
    (note,) = (node.settings.paths.sent_dir).glob("*.json")
    past = time.time() - KEPT_S - 60
    os.utime(note, (past, past))
    assert list(SentNotes(node.settings.paths.sent_dir).open()) == []
    assert not note.exists()


def test_a_job_that_the_master_has_deleted_is_forgotten(served: str, master: Master, node: Node):  # noqa: F811
    master.database.write(lambda connection: connection.execute(delete(jobs)))
    write_event(node.directory, "stage_started")
    node.end()
    forwarder = node.forwarder(served)
    forwarder.look()
    assert not list(forwarder._notes.open())


def test_a_master_that_refuses_the_token_is_asked_again_later(served: str, node: Node, monkeypatch):  # noqa: F811
    post = MasterHttp.post

    def refused(self, path, document=None):
        raise MasterRefused(401, "token_unknown", "The token is unknown.", [])

    write_event(node.directory, "stage_started")
    node.end()
    monkeypatch.setattr(MasterHttp, "post", refused)
    with pytest.raises(MasterRefused):
        node.forwarder(served).look()
    monkeypatch.setattr(MasterHttp, "post", post)
    node.forwarder(served).look()
    assert texts(served, node) == ["train: stage_started"]


def test_a_node_beside_its_master_or_without_one_forwards_nothing(tmp_path: Path, monkeypatch):
    monkeypatch.delenv("PROTEINX_MASTER_DIR", raising=False)
    alone = load_settings({"PROTEINX_WORKDIR": str(tmp_path / "w")}, tmp_path)
    joined = load_settings({"PROTEINX_WORKDIR": str(tmp_path / "w"), "PROTEINX_MASTER": NOBODY}, tmp_path)
    alone.workdir.mkdir()
    state, stopping = Ledger(alone.state_path), threading.Event()
    assert forwarder_of(alone, state, stopping) is None
    assert forwarder_of(joined, state, stopping) is not None
    (joined.paths.master_dir).mkdir()
    (joined.paths.master_dir / "master.json").write_text("{}")
    assert forwarder_of(joined, state, stopping) is None


def test_the_thread_goes_on_by_itself_when_the_master_is_back(served: str, node: Node):  # noqa: F811
    stopping = threading.Event()
    forwarder = Forwarder(node.settings, node.state, MasterHttp(NOBODY), stopping)
    write_event(node.directory, "stage_started")
    forwarder.start()
    try:
        wait_for(lambda: forwarder._notes.folder.is_dir())
        forwarder._master = MasterHttp(served)
        wait_for(lambda: texts(served, node) == ["train: stage_started"])
    finally:
        stopping.set()
        forwarder._thread.join(20)


def wait_for(condition) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)
