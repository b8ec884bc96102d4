"""Clients of an HTTP server, lean enough to leave the processor to it: requests and streams over plain sockets.

    python benchmarks/load.py < question.json      # `{"url", "clients", "requests": [{"method", "path", "body"}]}`

A process of its own answers on one line of JSON: seconds, the latency of each request, statuses that were no success.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Load:
    """What the clients saw."""

    seconds: float
    """From the first request to the last answer."""
    latencies: list[float]
    """Seconds of each request, sorted."""
    bad: dict[str, int]
    """Status -> number of answers that were no success."""
    cpu_s: float = 0.0
    """Processor time of the clients, which share the machine with the server."""

    def quantile(self, share: float) -> float:
        """The latency that this share of the requests does not exceed."""
        return self.latencies[min(len(self.latencies) - 1, int(share * len(self.latencies)))]


def send(
    url: str, requests: Sequence[Mapping[str, Any]], clients: int, headers: Mapping[str, str] | None = None
) -> Load:
    """Send requests from some clients at once, each on one connection, in another process."""
    question = {"url": url, "requests": list(requests), "clients": clients, "headers": dict(headers or {})}
    done = subprocess.run(
        [sys.executable, str(Path(__file__))],
        input=json.dumps(question),
        capture_output=True,
        text=True,
        check=True,
    )
    return Load(**json.loads(done.stdout))


def raw(url: str, request: Mapping[str, Any], headers: Mapping[str, str]) -> bytes:
    """The bytes of a request."""
    body = b"" if request.get("body") is None else json.dumps(request["body"]).encode()
    lines = [
        f"{request.get('method', 'POST')} {request['path']} HTTP/1.1", f"Host: {urlsplit(url).netloc}",
        "Content-Type: application/json", f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]  # fmt: skip
    return "\r\n".join([*lines, "", ""]).encode() + body


async def opened(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection."""
    place = urlsplit(url)
    return await asyncio.open_connection(place.hostname, place.port, limit=2**20)


async def _all(question: Mapping[str, Any]) -> dict[str, Any]:
    left = [raw(question["url"], request, question["headers"]) for request in reversed(question["requests"])]
    latencies: list[float] = []
    bad: Counter[str] = Counter()
    connections = [await opened(question["url"]) for _ in range(question["clients"])]
    began, used = time.perf_counter(), time.process_time()
    await asyncio.gather(*(_client(*connection, left, latencies, bad) for connection in connections))
    seconds, cpu_s = time.perf_counter() - began, time.process_time() - used
    return {"seconds": seconds, "latencies": sorted(latencies), "bad": dict(bad), "cpu_s": cpu_s}


async def _client(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    left: list[bytes],
    latencies: list[float],
    bad: Counter[str],
) -> None:
    while left:
        request = left.pop()
        began = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
        )
        await reader.readexactly(length)
        latencies.append(time.perf_counter() - began)
        if head[9:10] != b"2":
            bad[head[9:12].decode()] += 1
    writer.close()


if __name__ == "__main__":
    json.dump(asyncio.run(_all(json.load(sys.stdin))), sys.stdout)
