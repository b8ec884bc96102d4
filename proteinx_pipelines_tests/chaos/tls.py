"""TLS in front of a server that has none: a test's own certificate authority, and a proxy that ends the encryption.

The server of these tests is built without TLS; a client sees no difference from a server built with it.
"""

import contextlib
import shutil
import socket
import ssl
import subprocess
import threading
from pathlib import Path

import pytest

from proteinx_pipelines.node.processes.ports import LOOPBACK


def make_authority(folder: Path) -> Path:
    """A certificate authority and a certificate of it for 127.0.0.1; the authority's own certificate, `ca.pem`."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the program `openssl` to make certificates, which is not here")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "names").write_text(f"subjectAltName=IP:{LOOPBACK},DNS:localhost\n", encoding="utf-8")
    key = ("-newkey", "rsa:2048", "-nodes", "-days", "2")
    _openssl(
        folder, "req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Test authority"
    )
    _openssl(folder, "req", *key[:3], "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=redis")
    _openssl(
        folder, "x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days",
        "2", "-extfile", "names", "-out", "server.pem",
    )  # fmt: skip
    return folder / "ca.pem"


def _openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


class TlsProxy:
    """Accepts TLS with `server.pem`, and passes what it hears to a port of this machine in the clear."""

    def __init__(self, certificates: Path, target_port: int) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
        self._target = (LOOPBACK, target_port)
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port = int(self._listener.getsockname()[1])
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Accept nobody any more."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(accepted,), daemon=True).start()

    def _serve(self, accepted: socket.socket) -> None:
        """One connection: a thread for each direction, since both sides talk when they like."""
        try:
            client = self._context.wrap_socket(accepted, server_side=True)
            server = socket.create_connection(self._target)
        except OSError:  # no TLS, an authority that the client does not trust, or no server
            accepted.close()
            return
        self.connections += 1
        threading.Thread(target=_pump, args=(server, client), daemon=True).start()
        _pump(client, server)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    for side in (source, target):
        with contextlib.suppress(OSError):
            side.shutdown(socket.SHUT_RDWR)
