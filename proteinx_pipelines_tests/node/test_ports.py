"""Ports that are reused after a restart."""

import socket

from proteinx_pipelines.node.processes.ports import LOOPBACK, claim_address, free_port, is_free, read_address


def test_a_restart_takes_its_old_port_while_that_is_free(tmp_path):
    path = tmp_path / "web.json"
    first = claim_address(path, "http://127.0.0.1:{port}")
    assert first.url == f"http://127.0.0.1:{first.port}"
    assert claim_address(path, "http://127.0.0.1:{port}") == first
    with socket.create_server((LOOPBACK, first.port)):
        assert not is_free(first.port)
        other = claim_address(path, "http://127.0.0.1:{port}")
    assert other.port != first.port
    assert read_address(path) == other


def test_a_port_that_was_asked_for_is_taken_and_nothing_else(tmp_path):
    wanted = free_port()
    assert claim_address(tmp_path / "a.json", "x{port}", wanted).port == wanted


def test_a_file_that_is_not_an_address_is_no_address(tmp_path):
    path = tmp_path / "a.json"
    assert read_address(path) is None
    for text in ("", "[]", '{"port": 1}', "{"):
        path.write_text(text)
        assert read_address(path) is None
    assert claim_address(path, "x{port}").port > 0


def test_an_address_is_served_while_its_process_accepts_connections(tmp_path):
    address = claim_address(tmp_path / "a.json", "x{port}")
    assert not address.is_served
    with socket.create_server((LOOPBACK, address.port)):
        assert address.is_served
        stranger = type(address)(address.url, address.port, address.pid, address.started - 100)
        assert not stranger.is_served  # the process id belongs to somebody else by now
