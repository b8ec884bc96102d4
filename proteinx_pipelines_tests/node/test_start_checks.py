"""`proteinx up` reports within seconds what would keep the node from working; `doctor` checks the web server."""

import socket
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from proteinx_pipelines.errors import NodeBusy, QueueUnavailable, SettingsError
from proteinx_pipelines.experiment_dir.files import write_json
from proteinx_pipelines.master.http.server import bind
from proteinx_pipelines.master.settings import load_master_settings
from proteinx_pipelines.node.health.doctor import check_node
from proteinx_pipelines.node.health.web import check_web
from proteinx_pipelines.node.processes import ready_parts as parts
from proteinx_pipelines.node.processes.joining import own_list
from proteinx_pipelines.node.processes.ports import claim_address
from proteinx_pipelines.node.processes.start_checks import ANSWER_S, check_before_start, port_holder
from proteinx_pipelines.node.processes.supervisor import Supervisor
from proteinx_pipelines.settings import Settings, load_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"PROTEINX_WORKDIR": str(tmp_path / "w")}, tmp_path)


@pytest.fixture
def taken():
    """A port of 127.0.0.1 that this process listens on and answers nothing at."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


@pytest.mark.parametrize("setting", ["redis_url", "broker_url"])
def test_a_server_that_is_not_there_is_named_without_its_password(settings, setting) -> None:
    """`up` said nothing for 60 s, then that it still waited for its parts."""
    wrong = replace(settings, **{setting: "redis://master:canary-11aa@127.0.0.1:1/0"})
    with pytest.raises(QueueUnavailable, match=r"127\.0\.0\.1:1/0 does not answer") as caught:
        check_before_start(wrong, web=True)
    assert "canary" not in str(caught.value)


def test_a_server_that_accepts_and_is_silent_is_given_up(settings, taken) -> None:
    began = time.monotonic()
    with pytest.raises(QueueUnavailable, match="no answer within 5 s"):
        check_before_start(replace(settings, redis_url=f"redis://127.0.0.1:{taken}/0"), web=False)
    assert time.monotonic() - began < ANSWER_S + 40  # it had waited for ever


def test_the_supervisor_starts_nothing_behind_a_silent_server(settings, monkeypatch) -> None:
    # At its end a supervisor ends every process below it: here these are the servers of other tests.
    monkeypatch.setattr("proteinx_pipelines.node.processes.part_stopping.descendants", list)
    wrong = replace(settings, redis_url="redis://127.0.0.1:1/0")
    supervisor = Supervisor(wrong, lambda _text: None)
    with pytest.raises(QueueUnavailable):
        supervisor.run(lambda _seconds: None)
    assert all(child.process is None for child in supervisor.children.values())
    again = Supervisor(wrong, lambda _text: None)  # the lock is free again
    with pytest.raises(QueueUnavailable):
        again.run(lambda _seconds: None)


def test_a_taken_port_is_refused_and_its_holder_named(settings, taken) -> None:
    """A second node announced the first one's page as its own."""
    import os

    with pytest.raises(NodeBusy, match=rf"Port {taken} \(PROTEINX_WEB_PORT\) .* process {os.getpid()} \("):
        check_before_start(replace(settings, web_port=taken), web=True)
    check_before_start(replace(settings, web_port=taken), web=False)
    check_before_start(replace(settings, web_port=0), web=True)


def test_a_free_port_has_no_holder_that_is_known(settings) -> None:
    assert "another program" in port_holder(1)


def web_finding(settings: Settings) -> tuple[str, str]:
    (found,) = check_web(settings)
    return found.level, found.text


def test_doctor_tells_ours_from_another_programs_page(settings, taken, monkeypatch) -> None:
    assert web_finding(settings) == ("ok", "The web server starts with the node.")
    level, text = web_finding(replace(settings, web_port=taken))
    assert level == "wrong"
    assert "not this node's" in text
    write_json(
        settings.paths.running("web"),
        {"url": f"http://127.0.0.1:{taken}", "port": taken, "pid": 1, "started": -1e6},
    )
    assert web_finding(replace(settings, web_port=taken))[0] == "wrong"  # of a process that is gone
    claim_address(settings.paths.running("web"), "http://127.0.0.1:{port}", taken)
    assert web_finding(settings) == ("ok", f"answers at http://127.0.0.1:{taken}")


def test_doctor_looks_at_the_web_server_too(settings) -> None:
    assert "web" in {finding.topic for finding in check_node(settings)}


def test_a_node_without_a_web_server_is_a_warning(settings) -> None:
    parts.mark_ready(settings, "worker")
    assert web_finding(settings)[0] == "warning"


def test_parts_are_said_as_they_get_ready(settings, monkeypatch) -> None:
    """For up to a minute nothing was said but "Starting the node"."""
    said: list[str] = []
    supervisor = Supervisor(settings, said.append)
    missing = iter([["worker", "host", "sensor"], ["host", "sensor"], ["sensor"], ["agent"], []])
    last: list[list[str]] = []

    def next_missing(_settings: Settings) -> list[str]:
        last.append(next(missing, []))
        return last[-1]

    monkeypatch.setattr("proteinx_pipelines.node.processes.supervisor.missing_parts", next_missing)
    monkeypatch.setattr(supervisor, "_handle_one", lambda _wait: True)
    done = threading.Thread(target=supervisor._wait_until_ready)
    done.start()
    done.join(10)
    assert [text.split()[0] for text in said] == ["worker", "host", "sensor"]


def test_a_port_that_the_master_was_asked_for_and_that_is_taken_names_its_holder(settings, taken) -> None:
    """The default port gives way; one that somebody has set does not."""
    asked = load_master_settings(settings, {"PROTEINX_MASTER_PORT": str(taken)})
    with pytest.raises(NodeBusy, match=rf"Port {taken} \(PROTEINX_MASTER_PORT\) .* is taken by process \d+"):
        check_before_start(settings, web=False, master=asked)
    check_before_start(settings, web=False, master=replace(asked, is_port_asked=False))


def test_the_default_port_of_a_master_gives_way_to_a_free_one(settings, taken) -> None:
    master = replace(load_master_settings(settings, {}), port=taken)
    with bind(master) as bound:
        assert bound.getsockname()[1] not in (0, taken)
    with pytest.raises(NodeBusy, match="is taken"):
        bind(replace(master, is_port_asked=True))


def test_a_node_whose_name_is_a_key_of_the_queue_cannot_have_a_list_of_its_own(settings) -> None:
    with pytest.raises(SettingsError, match="queue's own keys"):
        own_list(replace(settings, node_name="results"))
    assert own_list(replace(settings, node_name="n1")) == {
        "QUEUE_NAME": "experiments:n1",
        "RESULT_QUEUE_NAME": "experiments:n1:results",
        "PROTEINX_QUEUE_SIDE": "right",
    }
