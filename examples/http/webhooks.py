"""Webhooks from Python: a receiver that checks the signature, subscribed for as long as it runs.

The Master connects to addresses of its operator's network only where PROTEINX_WEBHOOK_HOSTS names them.

PROTEINX_WEBHOOK_HOSTS=127.0.0.1 proteinx up
PROTEINX_MASTER=http://127.0.0.1:8000 python examples/http/webhooks.py
"""

import queue
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from standardwebhooks import Webhook

from proteinx_pipelines.client import Client, calls


def main() -> None:
    heard: queue.Queue[dict] = queue.Queue()
    secret: list[str] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            document = Webhook(secret[0]).verify(
                body, {name.lower(): value for name, value in self.headers.items()}
            )
            heard.put(document)
            self.send_response(204)  # anything else, and the Master tries again
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Prints nothing."""

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with Client() as client:
        asked = {"url": f"http://127.0.0.1:{server.server_port}/hooks", "events": ["job.state"]}
        made = client.ask(calls.document("/api/webhooks", "POST", asked))
        secret.append(made["secret"])  # shown this once
        job = client.submit({"data.source": "GB1", "model.name": "ridge"}, held=True)
        client.cancel(job)
        document = heard.get(timeout=30)
        print(document["type"], document["data"]["state"], document["data"]["job_id"] == job.job_id)
        client.ask(calls.document(f"/api/webhooks/{made['webhook_id']}", "DELETE", {}))
    server.shutdown()


if __name__ == "__main__":
    main()
