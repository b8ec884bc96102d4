"""Files by reference: fetched once, verified, kept within a size; nothing but the store and the Master is asked."""

import hashlib
import http.server
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proteinx_pipelines.catalog.database import open_for_reading
from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines.errors import BackendError, CorruptArtifact, MissingFile, PathNotAllowed
from proteinx_pipelines.execution.paths import allowed_path, fetched_path
from proteinx_pipelines.files.fetched import FetchedFiles
from proteinx_pipelines.files.fetching.from_store import file_by_digest
from proteinx_pipelines.files.shared.names import object_name
from proteinx_pipelines.files.shared.pushing import push_file
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.node.lifecycle.planning import plan_experiment
from proteinx_pipelines.settings import Settings, load_settings
from proteinx_pipelines_tests.execution.test_attempt import QUICK
from proteinx_pipelines_tests.machines import Machine, actions

CSV = "mutant,DMS_score,mutated_sequence\n" + "".join(
    f"{old}{k + 1}{new},{k + n / 7},{'MKVAGTWLLE'[:k]}{new}{'MKVAGTWLLE'[k + 1:]}\n"
    for k, old in enumerate("MKVAGTWLLE")
    for n, new in enumerate("ACDEFGHIKL")
    if new != old
)  # fmt: skip


@pytest.fixture
def machine(tmp_path: Path, store_url: str) -> Machine:
    return Machine.at(tmp_path / "machine", store_url)


def write(path: Path, text: str = CSV) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_file_that_was_pushed_is_fetched_by_its_digest_once(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(tmp_path / "my assay.csv")
    reference = push_file(machine.blobs, source)
    assert reference == f"px://sha256/{sha256(source)}"
    path = fetched_path(machine.settings, "payload_ref", reference)
    assert path is not None
    assert (path.name, path.read_text()) == ("my assay.csv", CSV)
    for name in list(machine.blobs.names()):
        machine.blobs.remove(name)
    assert fetched_path(machine.settings, "payload_ref", reference) == path


def test_the_template_beside_a_data_file_travels_with_it(machine: Machine, tmp_path: Path) -> None:
    source = write(tmp_path / "gb1.csv", "mutant,DMS_score\nM1A,1\nK2A,2\n")
    write(tmp_path / "gb1.json", json.dumps({"template": "MKVAGT"}))
    path = fetched_path(machine.settings, "payload_ref", push_file(machine.blobs, source))
    assert path is not None
    import_file(tmp_path / "new.db", path)
    with open_for_reading(tmp_path / "new.db"):
        assert (path.parent / "gb1.json").is_file()


@pytest.mark.parametrize(("content", "ending"), [(b"mutant,x\n", ".csv"), (b"PAR1....", ".parquet")])
def test_an_object_that_nobody_described_is_named_by_the_reference_or_its_content(
    machine: Machine, content: bytes, ending: str
) -> None:
    digest = hashlib.sha256(content).hexdigest()
    machine.blobs.write(object_name(digest), content)
    path = fetched_path(machine.settings, "payload_ref", f"px://sha256/{digest}")
    assert path is not None
    assert path.name == f"{digest[:12]}{ending}"
    other = Machine.at(machine.settings.workdir.parent / "other", machine.settings.store)
    path = fetched_path(other.settings, "payload_ref", f"px://sha256/{digest}/gb1{ending}")
    assert path is not None
    assert path.name == f"gb1{ending}"


def test_other_bytes_than_the_digest_says_are_refused_and_not_kept(machine: Machine, tmp_path: Path) -> None:
    reference = push_file(machine.blobs, write(tmp_path / "a.csv"))
    digest = reference.rpartition("/")[2]
    machine.blobs.write(object_name(digest), b"other")
    for _ in range(2):
        with pytest.raises(CorruptArtifact, match="recorded is"):
            fetched_path(machine.settings, "payload_ref", reference)
    assert machine.blobs.read(object_name(digest)) == b"other"  # somebody's data: removed by nobody
    path = allowed_path(machine.settings, "payload_ref", reference)
    assert path is not None
    assert not path.exists()


def test_what_is_not_there_is_named_with_what_to_do(machine: Machine) -> None:
    reference = f"px://sha256/{'0' * 64}"
    with pytest.raises(MissingFile, match=r"is not in the store .*proteinx store push"):
        fetched_path(machine.settings, "payload_ref", reference)
    with pytest.raises(MissingFile, match=r"gb1\.csv is not in the store"):
        fetched_path(machine.settings, "payload_ref", f"{machine.settings.store}/data/gb1.csv")


def test_a_file_behind_an_address_is_fetched_again_when_it_has_changed(machine: Machine) -> None:
    reference = f"{machine.settings.store}/data/gb1.csv"
    machine.blobs.write("data/gb1.csv", b"one")
    path = fetched_path(machine.settings, "payload_ref", reference)
    assert path is not None
    assert path.read_bytes() == b"one"
    stamp = path.stat().st_ino
    assert fetched_path(machine.settings, "payload_ref", reference) == path
    assert path.stat().st_ino == stamp
    machine.blobs.write("data/gb1.csv", b"three")
    assert fetched_path(machine.settings, "payload_ref", reference) == path
    assert path.read_bytes() == b"three"


def test_a_file_of_an_ended_experiment_is_checked_against_its_index(machine: Machine, tmp_path: Path) -> None:
    from proteinx_pipelines.execution.run_local import run_local_experiment

    run_local_experiment(machine.settings, "gb1", parse_flags(QUICK))
    machine.send()
    name = "experiments/gb1/1/artifacts/predictions.parquet"
    path = fetched_path(machine.settings, "split.path", f"{machine.settings.store}/{name}")
    assert path is not None
    machine.blobs.write(name, b"other")
    other = Machine.at(tmp_path / "other", machine.settings.store)
    with pytest.raises(CorruptArtifact):
        fetched_path(other.settings, "split.path", f"{machine.settings.store}/{name}")


@pytest.mark.parametrize(
    "reference",
    [
        "px://sha256/123", "px://md5/" + "0" * 64, f"px://sha256/{'0' * 64}/../x", f"px://sha256/{'0' * 64}/.x",
        "px://sha256/" + "A" * 64, "s3://other/x.csv", "s3://bucket/x.csv", "s3://bucket/prefix/../x.csv",
        "s3://bucket/prefix/a/../../x", "s3://bucket/prefix/a//b", "s3://bucket/prefix/", "s3://bucket/prefixes/x.csv",
        "s3://bucket/prefix/x.csv?versionId=1", "gs://bucket/prefix/x.csv", "https://host/x.csv",
        "http://master:8000/api/jobs", "http://master:8000/api/datasets/a/content/x",
        "http://master:8000@evil/api/datasets/a/content", "http://master:80001/api/datasets/a/content",
        "http://master:8000/api/datasets/../tokens/content", "http://169.254.169.254/api/datasets/a/content",
    ],
)  # fmt: skip
def test_nothing_else_is_fetched(tmp_path: Path, reference: str) -> None:
    settings = load_settings(
        {"PROTEINX_STORE": "s3://bucket/prefix", "PROTEINX_MASTER": "http://master:8000/",
         "PROTEINX_WORKDIR": str(tmp_path)}, tmp_path
    )  # fmt: skip
    for confined in (True, False):
        with pytest.raises(PathNotAllowed, match="`payload_ref`"):
            allowed_path(settings, "payload_ref", reference, confined=confined)


@pytest.mark.parametrize(
    "reference", [f"px://sha256/{'0' * 64}", "s3://bucket/x.csv", "http://m/api/datasets/a/content"]
)
def test_without_a_store_or_a_master_it_is_said_what_is_missing(tmp_path: Path, reference: str) -> None:
    settings = load_settings({"PROTEINX_WORKDIR": str(tmp_path)}, tmp_path)
    with pytest.raises(PathNotAllowed, match=r"PROTEINX_STORE|PROTEINX_MASTER"):
        allowed_path(settings, "payload_ref", reference)


@pytest.mark.skipif(os.name == "nt", reason="making links takes a privilege on Windows")
def test_no_link_in_a_shared_folder_leads_out_of_it(tmp_path: Path) -> None:
    machine = Machine.at(tmp_path / "machine", (tmp_path / "shared").as_uri())
    (tmp_path / "shared").mkdir()
    (tmp_path / "private.csv").write_text("secret")
    (tmp_path / "shared" / "x.csv").symlink_to(tmp_path / "private.csv")
    with pytest.raises((MissingFile, ValueError)):
        fetched_path(machine.settings, "payload_ref", f"{(tmp_path / 'shared').as_uri()}/x.csv")


# ---------------------------------------------------------------------- experiments with references
def flags_of(**changes: Any) -> dict[str, Any]:
    return {
        "data.source": "assay",
        "split.seed": 1,
        "evaluate.bootstrap": 0,
        "evaluate.plots": False,
        **changes,
    }


def test_an_experiment_on_a_referred_file_is_taken_over_by_a_machine_that_never_had_it(
    machine: Machine, tmp_path: Path
) -> None:
    """The weights, the split file and so on are named by digest: their keys are known before they are fetched."""
    from proteinx_pipelines.execution.run_local import run_local_experiment

    payload = push_file(machine.blobs, write(tmp_path / "assay.csv"))
    folds = "mutant,fold\n" + "".join(
        f"{line.split(',')[0]},{number % 3}\n" for number, line in enumerate(CSV.splitlines()[1:])
    )
    split = push_file(machine.blobs, write(tmp_path / "folds.csv", folds))
    flags = parse_flags(flags_of(**{"split.method": "file", "split.path": split, "split.column": "fold"}))
    run_local_experiment(machine.settings, "a", flags, payload_ref=payload)
    machine.send()
    machine.blobs.remove(object_name(split.rpartition("/")[2]))
    other = Machine.at(tmp_path / "other", machine.settings.store)
    found: dict[str, str] = {}
    run_local_experiment(
        other.settings, "a", flags, payload_ref=payload,
        on_stage=lambda stage, entry: found.update({stage: entry.action}),
    )  # fmt: skip
    assert set(found.values()) == {"computed", "taken"}
    assert found["split"] == found["train"] == "taken"


def test_a_plan_asks_no_network_and_trusts_no_address(machine: Machine, tmp_path: Path) -> None:
    folds = write(tmp_path / "folds.csv", "mutant,fold\n")
    machine.blobs.put("data/folds.csv", folds)
    address = f"{machine.settings.store}/data/folds.csv"
    flags = parse_flags({**QUICK, "split.method": "file", "split.path": address, "split.column": "fold"})
    for name in list(machine.blobs.names()):
        machine.blobs.remove(name)
    planned = {each.stage: each.action for each in plan_experiment(machine.settings, "a", flags, None).stages}
    assert planned["split"] == "computed"


def test_actions_of_a_changed_address_follow_its_content(machine: Machine) -> None:
    rows = machine.run("probe", QUICK, ("selection", "transform"))
    assert actions(rows)["selection"] == "computed"
    from proteinx_pipelines.experiment_dir.files import read_parquet
    from proteinx_pipelines.experiment_dir.layout import ExperimentDir

    variants = read_parquet(ExperimentDir(machine.settings.experiments_dir, "probe").variants)
    mutants = [str(each) for each in variants.column("mutant").to_pylist()]
    address = f"{machine.settings.store}/data/folds.csv"
    flags = {**QUICK, "split.method": "file", "split.path": address, "split.column": "fold"}
    stages = ("selection", "transform", "embedding", "split")
    found = []
    for n_folds in (3, 3, 4):
        content = "mutant,fold\n" + "".join(f"{mutant},{k % n_folds}\n" for k, mutant in enumerate(mutants))
        machine.blobs.write("data/folds.csv", content.encode())
        found.append(actions(machine.run("a", flags, stages))["split"])
    assert found == ["computed", "reused", "computed"]


# ---------------------------------------------------------------------- the cache
def test_the_least_recently_used_files_go_and_those_in_use_stay(tmp_path: Path) -> None:
    files = FetchedFiles(tmp_path / "fetched", 2_500)

    def fill(folder: Path) -> str:
        (folder / "a").write_bytes(b"x" * 1_000)
        return "a"

    for age, key in ((7_200, "sha256-1"), (9_000, "sha256-2"), (10, "sha256-3")):
        files.add(key, fill)
        moment = files.path(key).stat().st_mtime - age
        os.utime(files.root / key, (moment, moment))
    assert sorted(path.name for path in files.root.iterdir()) == ["sha256-1", "sha256-3"]
    files.add("sha256-4", fill)
    assert sorted(path.name for path in files.root.iterdir()) == ["sha256-3", "sha256-4"]
    files.add("sha256-5", fill)  # above its size: the others are in use
    assert sorted(path.name for path in files.root.iterdir()) == ["sha256-3", "sha256-4", "sha256-5"]


# ---------------------------------------------------------------------- the Master
@pytest.fixture
def master(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Settings, dict[str, Any]]]:
    """An HTTP server with one data set, as a Master gives it."""
    told: dict[str, Any] = {"content": CSV.encode(), "seen": [], "status": 200, "etag": None}

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            told["seen"].append((self.command, self.path, self.headers.get("Authorization")))
            status = told["status"] if self.path.endswith("/ds1/content") else 404
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "/api/elsewhere")
            self.send_header("ETag", f'"{told["etag"] or hashlib.sha256(told["content"]).hexdigest()}"')
            self.send_header("Content-Disposition", 'attachment; filename="assay.csv"')
            self.send_header("Content-Length", str(len(told["content"])))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(told["content"])

    setattr(Handler, "do_HEAD", Handler.do_GET)  # noqa: B010  # the name is the library's
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    monkeypatch.setenv("PROTEINX_TOKEN", "canary-token")
    address = f"http://127.0.0.1:{server.server_address[1]}"
    yield load_settings({"PROTEINX_WORKDIR": str(tmp_path), "PROTEINX_MASTER": address}, tmp_path), told
    server.shutdown()
    server.server_close()


def test_a_data_set_of_the_master_is_fetched_once_with_the_token(
    master: tuple[Settings, dict[str, Any]],
) -> None:
    settings, told = master
    reference = f"{settings.master}/api/datasets/ds1/content"
    for _ in range(2):
        path = fetched_path(settings, "payload_ref", reference)
        assert path is not None
        assert (path.name, path.read_bytes()) == ("assay.csv", told["content"])
    assert [method for method, _, _ in told["seen"]].count("GET") == 1
    assert {token for _, _, token in told["seen"]} == {"Bearer canary-token"}


def test_answers_of_the_master_that_are_none_are_named(master: tuple[Settings, dict[str, Any]]) -> None:
    settings, told = master
    with pytest.raises(MissingFile, match="no such data set"):
        fetched_path(settings, "payload_ref", f"{settings.master}/api/datasets/ds2/content")
    for status in (302, 401, 500):
        told["status"] = status
        with pytest.raises(BackendError, match=f"answered {status}") as raised:
            fetched_path(settings, "payload_ref", f"{settings.master}/api/datasets/ds1/content")
        assert "canary" not in str(raised.value)
    assert all("elsewhere" not in path for _, path, _ in told["seen"])
    told.update(status=200, etag="0" * 64)
    with pytest.raises(CorruptArtifact, match="the Master says"):
        fetched_path(settings, "payload_ref", f"{settings.master}/api/datasets/ds1/content")


def test_the_form_of_a_digest_is_checked_without_a_network(tmp_path: Path) -> None:
    settings = load_settings(
        {"PROTEINX_STORE": "s3://nowhere/x", "PROTEINX_WORKDIR": str(tmp_path)}, tmp_path
    )
    assert file_by_digest(settings, f"px://sha256/{'0' * 64}", "it").key == f"sha256-{'0' * 64}"
