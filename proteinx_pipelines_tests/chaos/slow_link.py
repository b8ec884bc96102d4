"""A link to a server that can be slow or stall: a proxy that delays what passes, in both directions."""

import contextlib
import socket
import threading
import time

CHUNK = 65_536


class SlowLink:
    """Listens on a port of its own and passes everything on to another one."""

    def __init__(self, to_port: int) -> None:
        self._to = to_port
        self.delay_s = 0.0
        """Seconds by which each piece is late."""
        self.stalled = threading.Event()
        """While set, nothing passes at all; connections stay open."""
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no further connections."""
        self._server.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._server.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(CHUNK):
                time.sleep(self.delay_s)
                while self.stalled.is_set():
                    time.sleep(0.05)
                target.sendall(piece)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
