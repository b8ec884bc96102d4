"""Webhooks: signed, written with the change, sent again, and never to an address inside."""

import email
import http.server
import json
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select, update
from standardwebhooks import Webhook

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.master.database.tables import outbox
from proteinx_pipelines.master.http.app import create_app
from proteinx_pipelines.master.webhooks import delivery
from proteinx_pipelines.master.webhooks.guard import AddressRefused, check_url, checked_addresses
from proteinx_pipelines.master.webhooks.subscribing import EVENTS

ROOT = Path(__file__).resolve().parents[2]
NOTIFY = ROOT / "examples" / "notify.py"
RIDGE = {"flags": {"data.source": "GB1", "model.name": "ridge"}}


class Receiver:
    """A real HTTP server that answers what it is told to and keeps what it got."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.got: list[tuple[dict[str, str], bytes]] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response(outer.answers.pop(0) if outer.answers else 204)
                self.send_header("location", "http://127.0.0.1:1/elsewhere")
                self.end_headers()

            def log_message(self, *_words: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://localhost:{self.server.server_port}/hook"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.server.shutdown()
    found.server.server_close()


@pytest.fixture
def http_(open_master) -> TestClient:
    """A Master that may reach `localhost`; its own deliveries are not running: the test sends."""
    master = open_master(
        PROTEINX_WEBHOOK_HOSTS="localhost", PROTEINX_WEBHOOK_COMMANDS="note=/bin/sh -c 'exit 3'"
    )
    return TestClient(create_app(master))  # without `with`: no background thread


def master_of(client: TestClient):
    return client.app.state.master


def rows(client: TestClient) -> list[dict[str, object]]:
    with master_of(client).database.reading() as connection:
        return [dict(row) for row in connection.execute(select(outbox)).mappings()]


def test_an_event_arrives_signed_and_once(http_: TestClient, receiver: Receiver) -> None:
    made = http_.post("/api/webhooks", json={"url": receiver.url, "events": ["job.*"]}).json()
    assert made["secret"].startswith("whsec_")
    assert made["secret"] not in http_.get("/api/webhooks").text
    job = http_.post("/api/jobs", json=RIDGE).json()["job_id"]
    assert delivery.deliver_due(master_of(http_)) == 1
    assert delivery.deliver_due(master_of(http_)) == 0
    headers, body = receiver.got[0]
    told = Webhook(made["secret"]).verify(body.decode(), headers)
    assert (told["type"], told["data"]["job_id"], told["data"]["state"]) == ("job.created", job, "WAITING")
    with pytest.raises(Exception, match="signature"):
        Webhook(made["secret"]).verify(body.decode().replace("WAITING", "FAILED "), headers)


def test_the_outbox_is_looked_at_after_a_commit_and_when_something_is_due(
    http_: TestClient, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice a second a Master asked for what was due, and there was nothing."""
    http_.post("/api/webhooks", json={"url": receiver.url, "events": ["job.created"]})
    looks: list[float] = []
    monkeypatch.setattr(delivery, "deliver_due", partial(_counted, looks, delivery.deliver_due))
    now = [time.time() + 60]  # behind every time of a row
    monkeypatch.setattr(delivery, "time", SimpleNamespace(time=lambda: now[0]))
    mail = delivery.Deliveries(master_of(http_))
    assert [mail.look() for _ in range(3)] == [0, 0, 0]
    assert len(looks) == 1
    receiver.answers = [500, 204]
    http_.post("/api/jobs", json=RIDGE)
    assert mail.look() == 1  # refused: due again in some seconds
    assert [mail.look() for _ in range(3)] == [0, 0, 0]
    assert len(looks) == 3  # the attempt was a commit
    now[0] += delivery.PAUSES_S[0] * 1.3
    assert mail.look() == 1
    assert [row["state"] for row in rows(http_)] == ["sent"]


def _counted(looks: list[float], deliver: Callable[[Any], int], master: object) -> int:
    looks.append(0.0)
    return deliver(master)


def test_a_change_that_fails_puts_nothing_out(http_: TestClient, receiver: Receiver) -> None:
    http_.post("/api/webhooks", json={"url": receiver.url, "events": ["job.*"]})
    http_.post("/api/jobs/batch", json={"jobs": [RIDGE, {**RIDGE, "dataset": "none"}]})
    assert rows(http_) == []


def test_a_failure_is_tried_again_with_the_same_id_and_is_dead_in_the_end(
    http_: TestClient, receiver: Receiver
) -> None:
    made = http_.post("/api/webhooks", json={"url": receiver.url, "events": ["job.created"]}).json()
    http_.post("/api/jobs", json=RIDGE)
    receiver.answers = [500] * 20
    for attempt in range(1, len(delivery.PAUSES_S) + 2):
        assert delivery.deliver_due(master_of(http_)) == 1, attempt
        assert delivery.deliver_due(master_of(http_)) == 0, "it is not due yet"
        if attempt <= len(delivery.PAUSES_S):
            left = float(rows(http_)[0]["due_at"]) - time.time()
            assert 0.7 * delivery.PAUSES_S[attempt - 1] < left < 1.3 * delivery.PAUSES_S[attempt - 1]
        master_of(http_).database.write(lambda c: c.execute(update(outbox).values(due_at=0.0)))
    assert (rows(http_)[0]["state"], rows(http_)[0]["last_answer"]) == ("dead", "HTTP 500")
    assert len({headers["webhook-id"] for headers, _body in receiver.got}) == 1
    receiver.answers = []
    http_.post(f"/api/webhooks/deliveries/{rows(http_)[0]['outbox_id']}/send")
    assert delivery.deliver_due(master_of(http_)) == 1
    sent = http_.get(f"/api/webhooks/{made['webhook_id']}/deliveries").json()["items"][0]
    assert sent["state"] == "sent"


def test_410_switches_a_subscriber_off_and_a_redirect_is_not_followed(
    http_: TestClient, receiver: Receiver
) -> None:
    http_.post("/api/webhooks", json={"url": receiver.url, "events": ["job.created"]})
    http_.post("/api/jobs", json=RIDGE)
    receiver.answers = [302]
    delivery.deliver_due(master_of(http_))
    assert (rows(http_)[0]["state"], rows(http_)[0]["last_answer"]) == ("waiting", "HTTP 302")
    master_of(http_).database.write(lambda c: c.execute(update(outbox).values(due_at=0.0)))
    receiver.answers = [410]
    delivery.deliver_due(master_of(http_))
    assert http_.get("/api/webhooks").json()["items"][0]["is_on"] is False
    http_.post("/api/jobs", json=RIDGE)
    assert len(rows(http_)) == 1


def test_a_pattern_means_the_events_that_can_be_subscribed_to(http_: TestClient, receiver: Receiver) -> None:
    """`job.*` once meant every progress of every job too: a row in the outbox for each."""
    http_.post("/api/webhooks", json={"url": receiver.url, "events": ["*"]})
    job = http_.post("/api/jobs", json=RIDGE).json()["job_id"]
    http_.patch(f"/api/jobs/{job}", json={"priority": 3})
    http_.post("/api/groups", json={"name": "g"})
    http_.post(f"/api/jobs/{job}/cancel")
    assert [row["event"] for row in rows(http_)] == ["job.created", "job.state"]


INSIDE = (
    "127.0.0.1", "localhost", "::1", "::ffff:127.0.0.1", "169.254.169.254", "10.1.2.3", "172.16.0.1", "192.168.1.1",
    "100.64.0.1", "0.0.0.0", "192.0.2.1", "224.0.0.1", "2130706433", "0x7f.1", "64:ff9b::7f00:1", "2002:7f00:1::",
    "fd00::1", "fe80::1", "64:ff9b:1::a00:1", "2001:0:7f00:1::",
)  # fmt: skip


@pytest.mark.parametrize("host", INSIDE)
def test_an_address_inside_is_refused_in_every_spelling(host: str) -> None:
    with pytest.raises(AddressRefused, match="not a public address"):
        checked_addresses(host, 443)
    assert checked_addresses(host, 443, [host])


def test_an_address_inside_is_refused_when_it_is_set(http_: TestClient) -> None:
    """It was accepted with 201, and every delivery to it died hours later."""
    for host in (*INSIDE, "a.localhost."):
        shown = f"[{host}]" if ":" in host else host
        answer = http_.post("/api/webhooks", json={"url": f"https://{shown}/x"})
        if host == "localhost":  # which this Master's operator allows
            assert answer.status_code == 201
            continue
        assert (answer.status_code, answer.json()["code"]) == (422, "address_refused"), host
        assert "not a public address" in answer.json()["detail"], host


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.example/",
        "file:///etc/passwd",
        "https://",
        "http://a.example/",
        "https://u:p@a.example/",
        "//a",
        "https://[::1",
    ],
)
def test_an_address_that_is_none_is_refused_when_it_is_set(url: str, http_: TestClient) -> None:
    with pytest.raises(AddressRefused):
        check_url(url)
    answer = http_.post("/api/webhooks", json={"url": url})
    assert (answer.status_code, answer.json()["code"]) == (422, "address_refused")


def test_the_connection_goes_to_the_address_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that answers with a public address first and 127.0.0.1 afterwards gets nothing."""
    from proteinx_pipelines.master.webhooks import sending

    asked: list[str] = []
    connected: list[str] = []

    def look_up(host: str, port: int, **_more: object):
        asked.append(host)
        address = "93.184.216.34" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    def connect(address: tuple[str, int], **_more: object):
        connected.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(socket, "create_connection", connect)
    outcome = sending.post("https://rebind.example/x", "whsec_" + "A" * 32, "msg_1", "{}")
    assert (asked, connected, outcome.is_done) == (["rebind.example"], ["93.184.216.34"], False)


def test_only_a_command_of_the_operator_runs(http_: TestClient) -> None:
    answer = http_.post("/api/webhooks", json={"url": "rm -rf /", "kind": "command"})
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_webhook")
    assert "The commands are note" in answer.json()["detail"]
    http_.post("/api/webhooks", json={"url": "note", "kind": "command", "events": ["job.created"]})
    http_.post("/api/jobs", json=RIDGE)
    delivery.deliver_due(master_of(http_))
    assert rows(http_)[0]["last_answer"] == "exit status 3"


def test_a_command_writes_a_mail_and_a_chat_message(open_master, receiver: Receiver, tmp_path) -> None:
    """`examples/notify.py`, as docs/master.md shows it; the mail goes to a program that keeps what it gets."""
    sendmail = tmp_path / "sendmail"
    sendmail.write_text(f"#!/bin/sh\ncat > {tmp_path}/mail\n")
    sendmail.chmod(0o755)
    notify = f"{sys.executable} {NOTIFY}"
    commands = (
        f"mail={notify} --mail lab@example.org --sendmail {sendmail}; chat={notify} --chat {receiver.url}"
    )
    client = TestClient(create_app(open_master(PROTEINX_WEBHOOK_COMMANDS=commands)))
    for name in ("mail", "chat"):
        asked = {"url": name, "kind": "command", "events": ["job.state"]}
        assert client.post("/api/webhooks", json=asked).status_code == 201
    job = client.post("/api/jobs", json={**RIDGE, "experiment_id": "gb1-001"}).json()["job_id"]
    client.post(f"/api/jobs/{job}/cancel")
    delivery.deliver_due(master_of(client))
    assert {row["last_answer"] for row in rows(client)} == {"exit status 0"}
    mail = email.message_from_bytes((tmp_path / "mail").read_bytes())
    assert (mail["To"], mail["Subject"].split()[:3]) == (
        "lab@example.org",
        ["job.state", "gb1-001", "CANCELLED"],
    )
    assert json.loads(mail.get_payload())["data"]["job_id"] == job
    assert json.loads(receiver.got[0][1])["text"].startswith("job.state gb1-001 CANCELLED")


def test_a_pattern_that_matches_no_event_is_refused(http_: TestClient) -> None:
    answer = http_.post("/api/webhooks", json={"url": "https://a.example/", "events": ["jobs.*"]})
    assert answer.json()["code"] == "bad_webhook"
    assert json.dumps("job.state").strip('"') in answer.json()["detail"]


def test_a_node_that_joins_and_is_drained_is_told(http_: TestClient, receiver: Receiver) -> None:
    """docs/master.md named these events, and the Master refused to tell them."""
    wanted = ["node.joined", "node.drained", "node.undrained"]
    asked = {"url": receiver.url, "events": wanted}
    assert http_.post("/api/webhooks", json=asked).status_code == 201
    beat = {"heartbeat": {"node": "n1", "time": timestamp(), "state": "idle"}}
    assert http_.post("/api/nodes/heartbeat", json=beat).status_code == 200
    for verb in ("drain", "undrain"):
        assert http_.post(f"/api/nodes/n1/{verb}").status_code == 200
    assert [row["event"] for row in rows(http_)] == wanted
    assert {json.loads(row["body"])["data"]["node"] for row in rows(http_)} == {"n1"}


def test_every_event_of_a_node_and_of_the_queue_can_be_subscribed_to_and_is_documented() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "proteinx_pipelines/master").rglob("*.py"))
    recorded = set(re.findall(r'"((?:node|queue)\.[a-z]+)"', sources))
    assert len(recorded) == 9
    page = (ROOT / "docs/master.md").read_text(encoding="utf-8")
    assert recorded <= set(EVENTS)
    assert [name for name in EVENTS if f"`{name}`" not in page] == []


def test_the_same_key_makes_one_subscriber(http_: TestClient) -> None:
    key = {"Idempotency-Key": "once"}
    made = [
        http_.post("/api/webhooks", json={"url": "https://a.example/"}, headers=key).json() for _ in (1, 2)
    ]
    assert made[0] == made[1]
    assert http_.get("/api/webhooks").json()["total"] == 1


def test_deliveries_are_counted_whole_and_come_in_pages(http_: TestClient, receiver: Receiver) -> None:
    made = http_.post("/api/webhooks", json={"url": receiver.url, "events": ["job.created"]}).json()
    http_.post("/api/jobs/batch", json={"jobs": [RIDGE] * 103})
    address, seen = f"/api/webhooks/{made['webhook_id']}/deliveries", []
    for number, length in ((1, 100), (2, 3), (3, 0)):
        page = http_.get(address, params={"page": number}).json()
        assert (page["total"], page["page"], page["size"], len(page["items"])) == (103, number, 100, length)
        seen += [row["outbox_id"] for row in page["items"]]
    assert len(set(seen)) == 103


@pytest.mark.parametrize(
    "url", ["https://u:a/canary@h", "https://h:canary", "https://[canary", "https://u:x@h:canary"]
)
def test_an_address_that_cannot_be_read_is_not_repeated(url: str) -> None:
    """What stands behind a colon may be half of a password."""
    with pytest.raises(AddressRefused) as caught:
        check_url(url)
    assert "canary" not in str(caught.value)
