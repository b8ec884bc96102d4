"""A newcomer's walk through the Master's pages, in a real browser, with a real Master and a real node."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from proteinx_pipelines_tests.story.conftest import DEMO, Node

pytestmark = [
    pytest.mark.story,
    pytest.mark.timeout(600),
    pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX"),
]
WAIT_MS = 240_000


def succeeded(page) -> str:
    """The headline of the job that the page shows, once it has ended well."""
    page.locator("#standing[data-state=SUCCEEDED] .conclusion").wait_for(timeout=WAIT_MS)
    return page.locator("#standing .conclusion").inner_text()


def submitted(page) -> str:
    """Submit what the form says; the job's id."""
    page.get_by_role("button", name="Submit job").click()
    page.wait_for_url(re.compile("/jobs/j-"), timeout=WAIT_MS)
    return page.url.rsplit("/", 1)[1]


def test_from_a_file_to_a_model(browser, make_node: Callable[..., Node], tmp_path: Path) -> None:
    """Upload, template, submit, watch, report, clone with another split, compare, download; the console is silent."""
    node = make_node(PROTEINX_MASTER_PORT="0")
    node.start("-m", "proteinx_pipelines.cli.main", "up", "--no-web")
    base = json.loads((node.workdir / "master" / "master.json").read_text("utf-8"))["url"]
    context = browser.new_context(accept_downloads=True, locale="en-US")
    context.set_default_timeout(60_000)
    told: list[str] = []
    context.on("console", lambda message: told.append(message.text))
    context.on("weberror", lambda error: told.append(str(error.error)))
    context.on("request", lambda asked: None if asked.url.startswith(base) else told.append(asked.url))
    page = context.new_page()

    page.goto(f"{base}/datasets")
    page.locator("#file").set_input_files(DEMO / "GB1_Nisthal_2019.csv.gz")
    page.locator("#uploads [data-state=done] a").click()
    page.locator(".conclusion", has_text="813 rows were understood").wait_for()
    page.get_by_role("link", name="Train on it").click()
    page.get_by_role("link", name=re.compile("^Baseline")).click()
    page.locator("#plan [data-stage=train]").wait_for()
    first = submitted(page)

    page.locator("[data-stage].now, [data-stage=evaluate].done").first.wait_for(
        timeout=WAIT_MS
    )  # it is seen running
    assert "Spearman" in succeeded(page)
    page.locator("#log-lines", has_text="evaluate").wait_for()
    page.locator("#file-list", has_text="artifacts/report.html").wait_for()
    with context.expect_page() as opened:
        page.get_by_role("link", name=re.compile("^Open the report")).click()
    opened.value.locator("h1", has_text="GB1_Nisthal_2019").wait_for()
    opened.value.close()

    page.get_by_role("link", name=re.compile("^Clone with changes")).click()
    page.locator("[data-flag='split.method']").select_option("modulo")
    page.locator("#plan [data-stage=split][data-action=computed]").wait_for()
    assert page.locator("#plan [data-stage=embedding]").get_attribute("data-action") == "reused"
    second = submitted(page)
    assert succeeded(page)
    assert page.locator("[data-stage=embedding]", has_text="taken over").count() == 1  # as the plan said

    page.goto(f"{base}/jobs?state=SUCCEEDED")
    for job_id in (first, second):
        page.locator(f"#job-{job_id} input").check()
    page.get_by_role("button", name="Compare").click()
    page.locator("table[data-name=ranking]").wait_for()
    assert "split.method" in page.locator("table[data-name=flags]").inner_text()
    assert page.locator("figure[data-name=parallel] path.thread").count() == 2

    page.goto(f"{base}/models/{first}")
    with page.expect_download() as saved:
        page.get_by_role("link", name="Download the model").click()
    saved.value.save_as(tmp_path / "model.zip")
    assert (tmp_path / "model.zip").read_bytes().startswith(b"PK")
    page.locator("#variants").fill("V39L\nT2A")
    page.get_by_role("button", name="Predict").click()
    page.locator("#predictions tbody tr").nth(1).wait_for(timeout=WAIT_MS)
    context.close()
    assert told == []
