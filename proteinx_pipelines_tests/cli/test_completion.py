"""Completion of commands, ids, sources and flags, by click's own protocol and in a real bash."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from proteinx_pipelines.cli.completing import (
    campaign_ids,
    conditions,
    experiment_ids,
    flag_pairs,
    source_names,
)
from proteinx_pipelines.cli.main import COMMANDS, main
from proteinx_pipelines_tests.cli.test_json_documents import leaves
from proteinx_pipelines_tests.execution.conftest import write_catalog


def completed(*words: str) -> list[str]:
    """What is offered for the last of the words."""
    *arguments, incomplete = words
    shell = ShellComplete(main, {}, "proteinx", "_PROTEINX_COMPLETE")
    return [item.value for item in shell.get_completions(list(arguments), incomplete)]


def test_commands_are_completed_without_importing_them(folder) -> None:
    assert set(completed("")) == set(COMMANDS)
    assert completed("com") == ["completion", "compare"]
    code = (
        "import sys; from proteinx_pipelines.cli.main import main\n"
        "from click.shell_completion import ShellComplete\n"
        "ShellComplete(main, {}, 'proteinx', 'X').get_completions([], 's')\n"
        "assert 'proteinx_pipelines.cli.submit' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "command", [("show",), ("cancel",), ("lineage",), ("compare",), ("experiment", "rm")]
)
def test_ids_of_experiments_are_completed(proteinx, history, command) -> None:
    history.arrive("gb1-ridge")
    history.arrive("gb1-gp")
    history.arrive("other")
    assert completed(*command, "gb1") == ["gb1-gp", "gb1-ridge"]


TAKES = {
    "experiment_id": experiment_ids, "names": experiment_ids, "before": experiment_ids, "after": experiment_ids,
    "experiment": experiment_ids, "what": experiment_ids, "campaign_id": campaign_ids,
    "source": source_names, "sources": source_names,
    "flags": flag_pairs, "pairs": flag_pairs, "changes": flag_pairs, "arguments": flag_pairs,
    "conditions": conditions, "sort": conditions,
}  # fmt: skip
"""Name of a parameter -> what completes it, in every command."""
NEW = {
    ("submit", "experiment_id"),
    ("replay", "experiment_id"),
    ("job clone", "experiment_id"),
    ("db fetch", "source"),
}
"""Ids and sources that are made up by the caller."""


def test_every_id_source_and_flag_of_every_command_is_completed() -> None:
    """`predict`, `propose`, `model export`, `store pull`, `job` and `round --id` completed nothing."""
    found = {
        (name, param.name): param._custom_shell_complete
        for name, command in leaves(main).items()
        for param in command.params
        if param.name in TAKES and (name, param.name) not in NEW
    }
    assert len(found) > 30
    wrong = [key for key, complete in found.items() if complete is not TAKES[str(key[1])]]
    assert wrong == []


def test_campaigns_are_completed(settings) -> None:
    (settings.paths.campaigns_dir / "plates").mkdir(parents=True)
    (settings.paths.campaigns_dir / "plates" / "campaign.json").write_text("{}")
    assert completed("round", "status", "--id", "pl") == ["plates"]


def test_sources_flags_and_values_are_completed(settings) -> None:
    settings.workdir.mkdir(parents=True)
    write_catalog(settings.database_path, n_singles=5, n_doubles=0)
    assert completed("db", "show", "T") == ["TOY"]
    assert completed("submit", "data.source=") == ["data.source=TOY"]
    assert "train.lr=" in completed("submit", "train.l")
    assert completed("train", "model.name=ri") == ["model.name=ridge", "model.name=ridge_cv"]
    assert completed("plan", "evaluate.plots=t") == ["evaluate.plots=true"]
    assert "split.method=modulo" in completed("submit", "split.method=")
    assert "split" in completed("flags", "sp")
    assert "--state" in completed("list", "--st")
    assert "pending" in completed("list", "--state", "")
    assert "train.lr" in completed("list", "--where", "train.l")


def test_a_broken_settings_file_gives_no_suggestion_and_no_trace(folder) -> None:
    (folder / "proteinx.toml").write_text("workdir = [")
    assert completed("show", "") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_a_script_for_each_shell(proteinx, shell) -> None:
    script = proteinx("completion", shell).output
    assert "_PROTEINX_COMPLETE" in script
    assert "tcsh" in proteinx("completion", "tcsh", expect=2).output


@pytest.mark.skipif(shutil.which("bash") is None or os.name == "nt", reason="bash is not here")
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("proteinx subm", ["submit"]),
        ("proteinx submit model.name=ri", ["ridge", "ridge_cv"]),  # bash completes behind the `=`
        ("proteinx submit model.na", ["model.name="]),
        ("proteinx list --state fai", ["failed"]),
    ],
)
def test_a_real_bash_completes(proteinx, folder, line, offered) -> None:
    """bash splits a line at `=`: what click itself prints for it completed no value of a flag."""
    script = folder / "completion.bash"
    script.write_text(proteinx("completion", "bash").output)
    program = Path(sys.executable).with_name("proteinx")
    if not program.is_file():
        pytest.skip("the command is not installed beside this Python")
    typed = (
        f"source {script}; COMP_LINE='{line}'; COMP_POINT=${{#COMP_LINE}}; _proteinx_completion {program}; "
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    run = subprocess.run(["bash", "-c", typed], check=True, capture_output=True, text=True, cwd=folder)
    assert run.stdout.split() == offered
