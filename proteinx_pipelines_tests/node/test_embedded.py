"""`proteinx redis`: the real server, started by a part of the node."""

import json
import os
import subprocess
import sys
import time

import psutil
import pytest
import redis

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no embedded server for Windows")


@pytest.fixture
def server(tmp_path):
    """Start and stop the server of one WORKDIR."""
    running = []

    def start() -> tuple[subprocess.Popen, redis.Redis]:
        environment = {**os.environ, "PROTEINX_WORKDIR": str(tmp_path)}
        command = [sys.executable, "-m", "proteinx_pipelines.cli.main", "redis"]
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        running.append(process)
        return process, wait_for(process)

    def wait_for(process: subprocess.Popen) -> redis.Redis:
        for _ in range(200):
            if process.poll() is not None:
                raise RuntimeError(process.stderr.read())
            try:
                address = json.loads((tmp_path / "run" / "redis.json").read_text())
                client = redis.Redis.from_url(address["url"])
                if address["pid"] == process.pid and client.ping():
                    return client
            except (OSError, ValueError, redis.ConnectionError):
                pass
            time.sleep(0.05)
        raise RuntimeError("the server did not answer")

    yield start
    for process in running:
        process.kill()
        process.wait()


def test_it_is_durable_private_and_found_again_at_its_old_address(server):
    process, client = server()
    options = client.config_get("appendonly", "appendfsync", "maxmemory-policy", "bind")
    assert options == {
        "appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction", "bind": "127.0.0.1",
    }  # fmt: skip
    assert {connection.laddr.ip for connection in psutil.Process(process.pid).net_connections()} == {
        "127.0.0.1"
    }
    client.lpush("experiments", "kept")
    port = client.connection_pool.connection_kwargs["port"]
    process.kill()
    process.wait()

    _process, again = server()
    assert again.connection_pool.connection_kwargs["port"] == port
    assert again.lrange("experiments", 0, -1) == [b"kept"]
    assert client.lrange("experiments", 0, -1) == [b"kept"]  # the client of before has reconnected


def test_a_second_one_in_the_same_workdir_says_who_is_there(server):
    process, _client = server()
    with pytest.raises(RuntimeError, match=rf"held by process {process.pid} on .*PROTEINX_WORKDIR"):
        server()
