import pickle  # noqa: TID251  (to make a file that must not be unpickled)
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from proteinx_pipelines.errors import Cancelled, FlagError, MissingWeights
from proteinx_pipelines.experiment_dir.files import file_sha256
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.stages.embedding import esm2_weights
from proteinx_pipelines.stages.embedding.esm2_engine import RESIDUE_ORDER, esm2_tokens
from proteinx_pipelines.stages.embedding.esm2_weights import cached_weights_path, find_weights, read_weights

NAME = "esm2_t6_8M_UR50D"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return cached_weights_path(NAME)


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A web server on a free port, in place of the public one; gives its folder."""
    folder = tmp_path / "published"
    folder.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    monkeypatch.setattr(esm2_weights, "FAIR_ESM_URL", f"http://127.0.0.1:{http.server_port}")
    yield folder
    http.shutdown()
    http.server_close()
    thread.join()


@pytest.mark.parametrize("variable", ["TORCH_HOME", "XDG_CACHE_HOME", None])
def test_the_cache_is_where_fair_esm_keeps_its_downloads(monkeypatch, tmp_path, variable):
    for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    if variable:
        monkeypatch.setenv(variable, str(tmp_path))
    assert cached_weights_path(NAME) == Path(torch.hub.get_dir()) / "checkpoints" / f"{NAME}.pt"


def test_a_checkpoint_is_read_without_prefixes_and_with_its_digest(checkpoint, fair_model):
    weights = read_weights(NAME, checkpoint)
    assert weights.sha256 == file_sha256(checkpoint)
    assert (weights.n_layers, weights.n_heads, weights.width, weights.token_dropout) == (6, 20, 320, True)
    torch.testing.assert_close(
        weights.tensors["layers.5.fc2.bias"], fair_model.state_dict()["layers.5.fc2.bias"]
    )


def test_reading_leaves_torchs_list_of_safe_classes_as_it_was(checkpoint):
    before = set(torch.serialization.get_safe_globals())
    read_weights(NAME, checkpoint)
    assert set(torch.serialization.get_safe_globals()) == before  # torch keeps no order


def test_a_file_that_would_run_code_is_refused_and_runs_nothing(tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "it ran",))

    path = tmp_path / "trap.pt"
    torch.save({"cfg": Trap(), "model": {}}, path)
    with pytest.raises(MissingWeights, match=r"trap\.pt is not a checkpoint in fair-esm's form"):
        read_weights(NAME, path)
    assert not (tmp_path / "it ran").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a checkpoint",
        b"PK\x03\x04 and no more",
        pickle.dumps({"model": 1}, 2),
        pickle.dumps([1, 2], 2),
    ],
    ids=["empty", "text", "zip", "no cfg", "list"],
)
def test_a_file_that_is_no_checkpoint_says_where_to_put_one(tmp_path, content, cache):
    path = tmp_path / "file.pt"
    path.write_bytes(content)
    with pytest.raises(MissingWeights) as caught:
        read_weights(NAME, path)
    assert "is not a checkpoint in fair-esm's form" in str(caught.value)
    assert str(cache) in str(caught.value)


def test_a_checkpoint_of_another_architecture_is_a_flag_error(checkpoint):
    with pytest.raises(
        FlagError, match=r"has 6 layers of width 320, and `embedding\.name` esm2_t12_35M_UR50D has 12"
    ):
        read_weights("esm2_t12_35M_UR50D", checkpoint)


def test_all_damage_of_a_checkpoint_is_reported_at_once(fair_model, tmp_path, write_checkpoint):
    state = dict(fair_model.state_dict())
    del state["layers.2.fc1.weight"]
    state["layers.3.fc2.bias"] = torch.zeros(7)
    state["emb_layer_norm_after.weight"] = torch.full((320,), torch.nan)
    path = write_checkpoint(tmp_path / "damaged.pt", state)
    with pytest.raises(MissingWeights) as caught:
        read_weights(NAME, path)
    assert "layers.2.fc1.weight is missing; layers.3.fc2.bias is (7,), (320,) is expected" in str(
        caught.value
    )
    assert "emb_layer_norm_after.weight has NaN" in str(caught.value)


def test_a_named_file_that_is_not_there_says_where_to_put_it(tmp_path, cache):
    with pytest.raises(MissingWeights) as caught:
        find_weights(NAME, tmp_path / "nowhere.pt", StageMonitor())
    assert "`embedding.weights` is" in str(caught.value)
    assert "nowhere.pt" in str(caught.value)
    assert str(cache) in str(caught.value)


def test_without_a_network_the_error_says_where_to_put_the_file(cache, monkeypatch):
    monkeypatch.setattr(esm2_weights, "FAIR_ESM_URL", "http://127.0.0.1:9")
    with pytest.raises(MissingWeights) as caught:
        find_weights(NAME, None, StageMonitor())
    message = str(caught.value)
    assert f"Put fair-esm's {NAME}.pt at {cache}" in message
    assert "`embedding.weights`" in message
    assert caught.value.code == "missing_weights"
    assert not list(cache.parent.glob("*"))


def test_a_download_is_kept_where_fair_esm_would_find_it(cache, server, listener):
    (server / f"{NAME}.pt").write_bytes(b"x" * 3_000_000)
    assert find_weights(NAME, None, listener) == cache
    assert cache.stat().st_size == 3_000_000
    assert listener.steps[-1] == (3_000_000, 3_000_000, f"downloading {NAME}.pt")
    (server / f"{NAME}.pt").unlink()
    assert find_weights(NAME, None, StageMonitor()) == cache


def test_a_file_that_is_not_published_is_a_clear_error(cache, server):
    with pytest.raises(MissingWeights, match=r"did not work \(HTTP Error 404"):
        find_weights(NAME, None, StageMonitor())


def test_a_cancelled_download_leaves_nothing(cache, server):
    class Impatient(StageMonitor):
        def progress(self, done, total, note=""):
            raise Cancelled("stop")

    (server / f"{NAME}.pt").write_bytes(b"x" * 3_000_000)
    with pytest.raises(Cancelled):
        find_weights(NAME, None, Impatient())
    assert not list(cache.parent.glob("*"))


def test_a_download_that_breaks_off_leaves_nothing(cache, server, monkeypatch):
    (server / f"{NAME}.pt").write_bytes(b"x" * 1000)
    truthful = SimpleHTTPRequestHandler.send_header

    def boasting(self, key, value):
        truthful(self, key, str(int(value) + 500) if key == "Content-Length" else value)

    monkeypatch.setattr(SimpleHTTPRequestHandler, "send_header", boasting)
    with pytest.raises(MissingWeights, match="1000 of 1500 bytes"):
        find_weights(NAME, None, StageMonitor())
    assert not list(cache.parent.glob("*"))


def test_tokens_are_fair_esms(fair_model):
    import numpy as np

    _, _, expected = fair_model.alphabet.get_batch_converter()([("x", RESIDUE_ORDER)])
    found = esm2_tokens(np.frombuffer(RESIDUE_ORDER.encode(), np.uint8)[None])
    np.testing.assert_array_equal(found, expected.numpy())
