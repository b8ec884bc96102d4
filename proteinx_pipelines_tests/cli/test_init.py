"""`proteinx init`: a settings file that the settings accept."""

import tomllib

import pytest

from proteinx_pipelines.cli.init import TEMPLATE
from proteinx_pipelines.node.processes import dagster_home
from proteinx_pipelines.setting_values import ENVIRONMENT
from proteinx_pipelines.settings import load_settings


def test_the_file_prepares_a_workdir_and_reads_back(proteinx, folder):
    printed = proteinx("init").output
    assert (folder / "workdir_compute" / "dagster_home" / "dagster.yaml").is_file()
    assert tomllib.loads((folder / "proteinx.toml").read_text()) == {"workdir": "workdir_compute"}
    assert load_settings().workdir == (folder / "workdir_compute").resolve()
    assert "proteinx db import" in printed
    assert "proteinx up" in printed


def test_a_workdir_elsewhere_is_named_by_its_whole_path(proteinx, folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "Größe"
    proteinx("init", str(elsewhere))
    assert load_settings().workdir == elsewhere.resolve()
    assert elsewhere.is_dir()


def test_a_file_that_is_there_stays_as_it_is_and_wins(proteinx, folder):
    (folder / "proteinx.toml").write_text('workdir = "mine"\n')
    printed = proteinx("init", "other").output
    assert (folder / "proteinx.toml").read_text() == 'workdir = "mine"\n'
    assert (folder / "mine").is_dir()
    assert not (folder / "other").exists()
    assert "other is not used" in printed


def test_every_setting_is_in_the_file_with_its_variable_and_parses_when_switched_on(folder):
    switched_on = "\n".join(line.removeprefix("# ") for line in TEMPLATE.splitlines() if " = " in line)
    assert set(tomllib.loads(switched_on.format(workdir='"w"'))) == set(ENVIRONMENT)
    assert all(variable in TEMPLATE for variable in ENVIRONMENT.values())
    (folder / "proteinx.toml").write_text(switched_on.format(workdir='"w"'))
    assert load_settings().node_name == "gpu-1"


def test_the_home_of_another_project_stays_as_it_is(proteinx, folder, monkeypatch):
    """DAGSTER_HOME was exported for somebody's own pipelines, and their configuration was replaced."""
    home = folder / "theirs"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    assert "DAGSTER_HOME is another project's home" in " ".join(proteinx("init", expect=1).output.split())
    assert (home / "dagster.yaml").read_text() == "telemetry:\n  enabled: false\n"
    assert not (folder / "workdir_compute").exists()


def test_a_dagster_yaml_that_was_edited_is_the_operators(proteinx, folder, monkeypatch):
    """Another history, such as a PostgreSQL, was set up there, and the next command wrote it over."""
    proteinx("init")
    written = folder / "workdir_compute" / "dagster_home" / "dagster.yaml"
    ours = written.read_text()
    theirs = ours.replace("telemetry:\n  enabled: false", "telemetry:\n  enabled: true")
    assert theirs != ours
    for edited in (theirs, theirs.partition("\n")[2]):  # also without our first line
        written.write_text(edited)
        proteinx("init")
        with monkeypatch.context() as later:
            later.setattr(dagster_home, "packaged_yaml", lambda: ours + "# of a later release\n")
            proteinx("init")
        assert written.read_text() == edited
        assert written.with_name("dagster.packaged.yaml").read_text() == ours + "# of a later release\n"
    assert "was edited" in proteinx("doctor", expect=None).output
    written.write_text("telemetry:\n  enabled: false\n")
    assert "NodeRunLauncher" in proteinx("doctor", expect=1).output
    written.unlink()
    proteinx("init")
    assert written.read_text() == ours


@pytest.mark.parametrize("edited", ["", "telemetry:\n  enabled: true\n"])
def test_a_dagster_yaml_that_nobody_has_edited_is_that_of_the_release(proteinx, folder, monkeypatch, edited):
    """Also one of release 0.1.0, whose first line says that changes are replaced."""
    proteinx("init")
    written = folder / "workdir_compute" / "dagster_home" / "dagster.yaml"
    ours = written.read_text()
    later = ours + "# of a later release\n"
    monkeypatch.setattr(dagster_home, "packaged_yaml", lambda: later)
    proteinx("init")
    assert written.read_text() == later
    first = "# Written into DAGSTER_HOME by proteinx; your changes there are replaced. Operators' settings are in ..."
    written.write_text(first + "\n" + ours.partition("\n")[2] + edited)
    written.with_name(".dagster.yaml.sha256").unlink()
    proteinx("init")
    assert written.read_text() == later


def test_settings_with_a_byte_order_mark_are_read(folder):
    (folder / "proteinx.toml").write_text('node_name = "n1"\n', encoding="utf-8-sig")
    assert load_settings().node_name == "n1"
