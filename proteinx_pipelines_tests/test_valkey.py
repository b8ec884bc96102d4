"""Two test processes once chose the same port for their servers, and all tests of the second one failed."""

import tempfile
from pathlib import Path

from proteinx_pipelines.node.processes.ports import free_port
from proteinx_pipelines_tests.valkey import start_valkey


def test_a_taken_port_is_left_for_another(tmp_path: Path) -> None:
    def folder() -> Path:
        return Path(tempfile.mkdtemp(dir=tmp_path))

    first = start_valkey(folder)
    ports = iter([first.port, free_port()])
    try:
        second = start_valkey(folder, lambda: next(ports))
        assert second.port != first.port
        second.stop()
    finally:
        first.stop()
