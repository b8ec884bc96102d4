"""The pages tell the truth where a machine can tell: links lead somewhere, commands and settings exist."""

import re
from pathlib import Path

import click
import pytest

from proteinx_pipelines.cli.main import COMMANDS, main
from proteinx_pipelines.errors import FlagError
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.setting_values import ENVIRONMENT

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = sorted(
    page
    for page in (*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md"), *REPOSITORY.glob("examples/**/*.md"),
                 *REPOSITORY.glob("benchmarks/*.md"), *REPOSITORY.glob("proteinx_pipelines/demo/**/*.md"))
)  # fmt: skip
NAMES = [page.relative_to(REPOSITORY).as_posix() for page in PAGES]
LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
COMMAND = re.compile(r"(?:^ {0,4}|`|/bin/|\| )proteinx ([a-z][a-z-]*)", re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """The anchors that a page's headings have on a forge."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", NAMES)
def test_every_link_leads_somewhere(name: str) -> None:
    page = REPOSITORY / name
    broken = []
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("name", NAMES)
def test_every_command_that_a_page_names_exists(name: str) -> None:
    named = set(COMMAND.findall((REPOSITORY / name).read_text(encoding="utf-8")))
    assert named <= set(COMMANDS)


TYPED = re.compile(r"(?:^ {0,8}|`|\| |&& )proteinx ([a-z][^`\n|#]*)", re.MULTILINE)


@pytest.mark.parametrize("name", [name for name in NAMES if "/adr/" not in name])
def test_every_option_that_a_page_writes_is_one_of_its_command(name: str) -> None:
    """The advice of a page is typed as it stands."""
    wrong = []
    for typed in TYPED.findall((REPOSITORY / name).read_text(encoding="utf-8")):
        words = typed.split()
        command: click.Command = main
        while words and isinstance(command, click.Group):
            below = command.get_command(click.Context(command), words[0])
            if below is None:  # options of the group itself, or a placeholder
                break
            command, words = below, words[1:]
        known = {
            text for parameter in command.params for text in (*parameter.opts, *parameter.secondary_opts)
        }
        options = {found[0] for word in words if (found := re.match(r"--[a-z][\w-]*", word))}
        wrong += [f"{typed}: {option}" for option in options - known - {"--help", "--version"}]
    assert wrong == []


FLAG = re.compile(
    r"(?<![\w.])((?:data|transform|embedding|split|model|train|trainer|evaluate|design|run)\.[a-z_]+)"
    r"=('[^'\n]+'|\"[^\"\n]+\"|\[[^\]\n]*\]|\{[^}\n]*\}|[^\s`|,;)]+)"
)
SHOWN_AS_REFUSED = {'trainer.devices="0"', "split.method=plugin:NAME"}


def test_every_flag_that_a_page_writes_has_a_value_that_it_takes() -> None:
    """The pages wrote `embedding.also=structure` and `run.track=mlflow`, and the flags refused both."""
    written = {
        f"{name}={value.strip(chr(39)).rstrip('.')}" for page in PAGES if "adr" not in page.parts
        for name, value in FLAG.findall(page.read_text(encoding="utf-8"))
    }  # fmt: skip
    wrong = {}
    for pair in written - SHOWN_AS_REFUSED:
        try:
            parse_flags({} if pair.startswith("data.source=") else {"data.source": "x"}, [pair])
        except FlagError as error:  # flags that need others are no mistake of a page
            if said := [text for text in error.problems if ": found " in text or "unknown flag" in text]:
                wrong[pair] = said
    assert wrong == {}


VAGUE = {"It", "This", "These", "Those", "They", "That", "There", "For", "What", "Here"}


@pytest.mark.parametrize(
    "name", [name for name in NAMES if "/adr/" not in name and not name.startswith("benchmarks")]
)
def test_a_page_begins_with_a_sentence_that_stands_alone(name: str) -> None:
    """Read in a row, the first sentences tell what the project does; one page began with a table."""
    text = re.sub(r"<!--.*?-->", "", (REPOSITORY / name).read_text(encoding="utf-8"), flags=re.DOTALL)
    title, _, body = text.lstrip().partition("\n")
    first = body.strip().split("\n\n")[0]
    assert title.startswith("# ")
    assert not first.startswith(("#", "|", "-", ">", "!", "```", "    ")), first
    assert first.split()[0] not in VAGUE, first
    assert re.search(r"[.:。；：]\s|[.:。：]$", first), first


def test_the_readme_names_the_commands_of_a_first_day() -> None:
    named = set(COMMAND.findall((REPOSITORY / "README.md").read_text(encoding="utf-8")))
    assert {"init", "db", "up", "submit", "flags"} <= named


def test_every_setting_stands_in_the_table_of_operations() -> None:
    page = (REPOSITORY / "docs" / "operations.md").read_text(encoding="utf-8")
    rows = [f"| `{variable}` | `{name}` |" for name, variable in ENVIRONMENT.items()]
    assert [row for row in rows if row not in page] == []


def test_every_page_is_reachable_from_the_index() -> None:
    index = REPOSITORY / "docs" / "index.md"
    linked = {
        (index.parent / link.split("#")[0]).resolve()
        for link in LINK.findall(index.read_text(encoding="utf-8"))
    }
    pages = {page for page in PAGES if page.is_relative_to(REPOSITORY / "docs") and page != index}
    assert {page.name for page in pages - linked} == set()


def test_the_plain_claims_of_the_page_about_messages_hold() -> None:
    from proteinx_pipelines.contract.request import CODES, MAX_BYTES, PRIORITY_RANGE

    page = (REPOSITORY / "docs" / "messages.md").read_text(encoding="utf-8")
    assert [code for code in CODES if f"`{code}`" not in page] == []
    assert MAX_BYTES == 1024 * 1024
    assert "at most 1 MiB" in page
    assert f"{PRIORITY_RANGE[0]} to {PRIORITY_RANGE[1]}" in page


def test_every_error_code_of_an_experiment_is_explained_to_its_sender() -> None:
    """A Master branches on codes: those that a sender can act on stand in the page."""
    from proteinx_pipelines import errors

    page = (REPOSITORY / "docs" / "messages.md").read_text(encoding="utf-8")
    final = {
        kind.code
        for kind in vars(errors).values()
        if isinstance(kind, type)
        and issubclass(kind, errors.InputError)
        and kind.__module__ == errors.__name__
    } - {
        "bad_input",
        "unknown_experiment",
        "already_ended",
        "not_replayable",
        "would_fail",
        "no_result_yet",
        "round_refused",
        "bad_settings",
    }  # of commands, never of a result
    assert [code for code in sorted(final) if f"`{code}`" not in page] == []
