"""The table of commands, and how a command refuses."""

import resource
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from proteinx_pipelines.cli.lazy import Entry, LazyGroup
from proteinx_pipelines.cli.main import COMMANDS, main

HEAVY = {"pydantic", "sqlalchemy", "redis", "dagster", "pandas", "numpy", "pyarrow", "rich", "torch"}


def test_help_takes_a_blink_and_imports_nothing_heavy():
    code = (
        "import sys\nfrom proteinx_pipelines.cli.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    print('loaded:', *sys.modules)"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    loaded = set(printed.split("loaded:")[1].split())
    assert not HEAVY & loaded
    assert all(f"  {name} " in printed for name in COMMANDS)
    assert (
        after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.3
    )  # of CPU, whoever else is busy


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_table_exists_under_its_name_and_explains_itself(name):
    command = main.get_command(click.Context(main), name)
    assert command is not None
    assert command.name == name
    shown = CliRunner().invoke(main, [name, "--help"])
    assert shown.exit_code == 0
    assert len(shown.output) > 100


def test_version_names_the_program(proteinx):
    assert proteinx("--version").output.startswith("proteinx, version 0.")


def test_an_unknown_command_is_answered_with_the_nearest(proteinx):
    assert "No such command 'submti'. Did you mean submit?" in proteinx("submti", expect=2).output


def failing(error: Exception) -> LazyGroup:
    @click.command("fail")
    def fail() -> None:
        raise error

    module = sys.modules[__name__]
    module.fail = fail
    return LazyGroup("test", entries={"fail": Entry(f"{__name__}:fail", "", "")})


def test_an_error_raised_on_purpose_is_one_message_and_exit_code_1(monkeypatch):
    from proteinx_pipelines.errors import UnknownSource

    group = failing(UnknownSource("`data.source`: 'x' is not in database.db."))
    result = CliRunner().invoke(group, ["fail"])
    assert result.exit_code == 1
    assert result.output == "Error: `data.source`: 'x' is not in database.db.\n"
    monkeypatch.setenv("PROTEINX_DEBUG", "1")
    assert isinstance(CliRunner().invoke(group, ["fail"]).exception, UnknownSource)


def test_a_full_disk_is_a_message_and_a_defect_is_not():
    full = CliRunner().invoke(failing(OSError(28, "No space left on device", "/data/x")), ["fail"])
    assert full.exit_code == 1
    assert "No space left on device: '/data/x'" in full.output
    assert isinstance(CliRunner().invoke(failing(KeyError("x")), ["fail"]).exception, KeyError)
