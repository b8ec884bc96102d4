"""`/metrics` at an address of the operator's choice, for a Prometheus on another machine; served by the agent.

Numbers only, read-only, without a login: the address belongs into a private network.
"""

import logging
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from proteinx_pipelines.node.health.numbers import node_metrics
from proteinx_pipelines.observation.exposition import MEDIA_TYPE
from proteinx_pipelines.settings import Settings

log = logging.getLogger(__name__)
SILENCE_S = 10
"""Seconds that a client may take to send its request."""
AGAIN_S = 10.0
"""Seconds between two tries to take the port."""


def serve_metrics(settings: Settings, stopping: threading.Event) -> threading.Thread | None:
    """Serve on a thread until `stopping` is set; None where no address is set. A taken port is tried again."""
    address = settings.metrics_address
    if address is None:
        return None

    def work() -> None:
        while not stopping.is_set():
            try:
                with _Server(address, _handler(lambda: node_metrics(settings))) as server:
                    threading.Thread(target=_end, args=(server, stopping), daemon=True).start()
                    server.serve_forever()
            except OSError as error:
                log.warning("PROTEINX_METRICS_ADDRESS %s:%d cannot be used: %s", *address, error.strerror)
                stopping.wait(AGAIN_S)

    thread = threading.Thread(target=work, name="metrics", daemon=True)
    thread.start()
    return thread


def _end(server: ThreadingHTTPServer, stopping: threading.Event) -> None:
    stopping.wait()
    server.shutdown()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, handler)


def _handler(text: Callable[[], str]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = SILENCE_S

        def do_GET(self) -> None:
            if self.path.partition("?")[0] != "/metrics":
                self.send_error(404)
                return
            try:
                body = text().encode()
            except Exception:
                log.exception("The numbers for Prometheus could not be read.")
                self.send_error(500)
                return
            self.send_response(200)
            self.send_header("Content-Type", MEDIA_TYPE)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it so
            log.debug(format, *args)

    return Handler
