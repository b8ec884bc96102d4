"""The catalogues: both languages have every key, the same values, and every key that a page or script uses."""

import json
import re
from pathlib import Path

import pytest

from proteinx_pipelines.master import pages
from proteinx_pipelines.master.jobs.states import ALL, ENDED
from proteinx_pipelines.master.pages.frame import NAVIGATION
from proteinx_pipelines.master.pages.jobs import COLUMNS
from proteinx_pipelines.master.pages.links import local_path
from proteinx_pipelines.master.pages.words import Words, catalogue, preferred
from proteinx_pipelines.master.tokens import SCOPES
from proteinx_pipelines.pages.render import ASSETS
from proteinx_pipelines.pipeline.stages import STAGES

FOLDER = Path(pages.__file__).parent
EN, ZH = catalogue("en"), catalogue("zh")
IN_TEMPLATES = re.compile(r"""\bt\(\s*["']([\w.]+)["']\s*[,)]""")
IN_SCRIPTS = re.compile(r"""\bsay\(\s*["']([\w.]+)["']""")


def used() -> set[str]:
    found = set()
    for file in FOLDER.glob("templates/*.html"):
        found |= set(IN_TEMPLATES.findall(file.read_text("utf-8")))
    for file in FOLDER.glob("assets/*.js"):
        found |= {f"js.{key}" for key in IN_SCRIPTS.findall(file.read_text("utf-8"))}
    return found


def test_both_languages_have_every_key_in_the_same_order() -> None:
    assert list(EN) == list(ZH)


def test_a_text_has_the_same_values_in_both_languages() -> None:
    names = {key: [set(re.findall(r"\{(\w+)\}", texts[key])) for texts in (EN, ZH)] for key in EN}
    assert {
        key: found for key, found in names.items() if found[0] != found[1] and not key.endswith(".one")
    } == {}


def test_no_text_is_missing_or_untranslated() -> None:
    assert used() - set(EN) == set()
    same = {key for key in EN if EN[key] == ZH[key] and re.search("[a-z]{4}", EN[key])}
    assert same <= {"site.name", "language.en", "language.zh", "column.score", "nav.webhooks"}


def test_no_file_has_a_key_twice() -> None:
    for name in ("en", "zh"):
        pairs = json.loads((FOLDER / "words" / f"{name}.json").read_text("utf-8"), object_pairs_hook=list)
        assert len(pairs) == len(dict(pairs))


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("zh-CN,zh;q=0.9", "zh"),
        ("de, zh;q=0.5, en;q=0.4", "zh"),
        ("en-GB, zh", "en"),
        ("zh;q=x", "en"),
    ],
)
def test_the_browser_says_which_language(header: str, language: str) -> None:
    assert preferred(header) == language


def test_a_reason_that_the_master_gives_is_said_in_chinese_with_its_numbers() -> None:
    words = Words("zh")
    assert words.reason("12 jobs before it") == "前面还有 12 个任务"
    assert (
        words.reason("it is on node a-1 and begins when that node is free")
        == "已在节点 a-1 上，节点空闲后开始"
    )
    away = "waits for node a, which has its directory and is not there now"
    assert words.reason(away) == "等待节点 a，其上有实验目录，但该节点目前不在"
    assert words.reason("needs 1 GPU: no node has it") == "需要 1 GPU，但没有节点具备"
    assert words.reason("something new") == "something new"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (4.21, "4.2 s"),
        (59.2, "59 s"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
        (200_000, "2 d 7 h"),
    ],
)
def test_durations_in_words(seconds: float | None, text: str) -> None:
    assert Words("en").duration(seconds) == text


@pytest.mark.parametrize(
    "given", ["https://evil.example/", "//evil.example", "/\\evil.example", "evil", "", None]
)
def test_the_login_leads_to_this_site_only(given: str | None) -> None:
    assert local_path(given) == "/"


def test_the_login_keeps_the_page_and_its_state() -> None:
    assert local_path("/jobs?state=FAILED&q=a b") == "/jobs?state=FAILED&q=a%20b"


def test_open_pages_listen_to_every_event_that_the_master_records() -> None:
    """An event without its name in the script would never reach a page."""
    recorded = set()
    for file in FOLDER.parent.rglob("*.py"):
        recorded |= set(
            re.findall(r'"((?:job|node|queue|dataset|model|group|unit)\.[a-z_]+)"', file.read_text("utf-8"))
        )
    listened = set(re.findall(r'"(\w+\.\w+)"', (FOLDER / "assets" / "live.js").read_text("utf-8")))
    flags = {"model.name", *(f"{noun}.html" for noun in ("job", "model", "group", "dataset"))}
    assert recorded - flags == listened


def test_every_word_that_jobs_nodes_and_deliveries_use_is_in_the_catalogue() -> None:
    """A stage that was taken over was shown as `taken`, in English on a Chinese page."""
    wanted = {
        "state": ALL,
        "stage": STAGES,
        "action": ("computed", "reused", "taken"),
        "plan": ("computed", "reused"),
        "stage_state": ("done", "now", "ahead", "failed", "left"),
        "node_state": ("idle", "busy", "drained", "lost"),
        "unit_state": ("NEW", "SUBMITTED", "ENDED"),
        "delivery": ("sent", "waiting", "dead"),
        "outcome": (*ENDED, "recalled", "lost", "late"),
        "column": [column.name for column in COLUMNS],
        "scope": SCOPES,
        "nav": (*NAVIGATION, "submit"),
    }
    assert [
        f"{part}.{name}" for part, names in wanted.items() for name in names if f"{part}.{name}" not in EN
    ] == []


def test_the_pages_give_no_new_meaning_to_a_class_of_the_report() -> None:
    """A table of the class `cards`, which the report lays out as a grid, fell apart into two columns."""
    report, own = (
        set(re.findall(r"\.([a-z][a-z-]*)", file.read_text("utf-8")))
        for file in (ASSETS / "style.css", FOLDER / "assets" / "site.css")
    )
    used = {
        name
        for file in FOLDER.glob("templates/*.html")
        for value in re.findall(r'class="([^"]*)"', file.read_text("utf-8"))
        for name in re.findall(r"[a-z][a-z-]*", re.sub(r"\{[{%].*?[%}]\}", " ", value))
    }
    shared = {
        "block",
        "conclusion",
        "facts",
        "figures",
        "grid",
        "hidden-defs",
        "main",
        "note",
        "number",
        "plain",
    }
    assert (used | own) & report <= {
        *shared,
        "scroll",
        "soft",
        "tools",
        "warnings",
        "drawing",
        "whole",
        "site",
    }
