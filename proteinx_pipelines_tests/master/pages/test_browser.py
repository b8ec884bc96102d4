"""The Master's pages in a real browser: quiet, safe, for everybody, live."""

import re
import time
from urllib.parse import quote

import pytest
from sqlalchemy import delete, insert

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.master.database.job_tables import job_logs, jobs
from proteinx_pipelines_tests.master.pages.conftest import EVIL, job_row

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

DESIGNED = "j-0000000000000700"
FAILED, RUNNING, EVIL_FAILED = "j-0000000000000002", "j-0000000000000008", "j-0000000000000066"
PAGES = {
    "jobs": "/jobs",
    "waiting": "/jobs?state=WAITING",
    "nothing found": "/jobs?q=no-such-thing",
    "job": f"/jobs/{RUNNING}",
    "failed job": f"/jobs/{EVIL_FAILED}",
    "run of one's own code": "/jobs/j-0000000000000999",
    "compare": f"/compare?id={FAILED}&id={EVIL_FAILED}",
    "nothing to compare": "/compare",
    "nodes": "/nodes",
    "data sets": "/datasets",
    "data set": "/datasets/evil",
    "models": "/models",
    "model": "/models/j-0000000000000065",
    "lineage": f"/jobs/{DESIGNED}/lineage",
    "plate": f"/jobs/{DESIGNED}/plate",
    "campaigns": f"/campaigns?flags={quote(EVIL)}",
    "campaign": "/campaigns/lab",
    "groups": "/groups",
    "group": "/groups/g-1",
    "webhooks": "/webhooks",
    "submit": f"/submit?clone={EVIL_FAILED}",
    "settings": "/settings",
    "addresses": "/docs",
}


def ready(page) -> None:
    page.locator("html[data-ready=true]").wait_for(state="attached", timeout=20_000)


def live(page) -> None:
    page.locator("html[data-live=true]").wait_for(state="attached", timeout=20_000)


def settled(locator, count: int) -> None:
    """Wait until there are so many; the page's policy forbids what Playwright's own waiting would evaluate."""
    deadline = time.monotonic() + 15
    while locator.count() != count and time.monotonic() < deadline:
        time.sleep(0.03)
    assert locator.count() == count


HOSTILE = {*PAGES} - {"nothing found", "job", "nothing to compare", "settings", "addresses"}
"""Pages that show a text of a user."""


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_quiet_safe_fits_the_screen_and_speaks_to_everybody(visit, name: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe checks accessibility")
    page = visit(PAGES[name])
    page.on("dialog", lambda dialog: pytest.fail(f"a text of a user ran: {dialog.message}"))
    ready(page)
    page.locator("details:not(:has(.flag-list))").evaluate_all(
        "all => all.forEach(each => { each.open = true })"
    )
    fields = page.locator("input, textarea").evaluate_all("all => all.map(each => each.value).join()")
    assert ("onerror=alert(1)" in page.locator("main").inner_text() + fields) == (name in HOSTILE)
    page.locator(".more").evaluate_all("all => all.forEach(each => { each.open = false })")
    for width, scheme in ((1280, "light"), (390, "dark")):
        page.set_viewport_size({"width": width, "height": 860})
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        rules = (
            None if scheme == "light" else {"runOnly": ["color-contrast", "target-size"]}
        )  # the rest is the same
        found = axe.Axe().run(page, options=rules).response["violations"]
        serious = [each for each in found if each["impact"] in ("serious", "critical")]
        assert [(each["id"], each["nodes"][0]["html"][:200]) for each in serious] == []
    assert page.locator("img").count() == 0
    assert page.locator("h1").count() == 1
    assert "49" not in page.locator("h1").inner_text()


def test_filters_order_and_columns_are_in_the_address_and_come_back(visit) -> None:
    page = visit("/jobs")
    ready(page)
    page.locator("#counts").get_by_role("link", name=re.compile("Failed")).click()
    page.wait_for_url("**/jobs?state=FAILED")
    settled(page.locator("tbody tr:not([data-state=FAILED])"), 0)
    assert page.locator("tbody tr").count() >= 2
    page.get_by_role("link", name="Priority").click()
    page.wait_for_url(re.compile("sort=-priority"))
    page.locator("summary", has_text="Columns").click()
    page.locator("#columns").get_by_label("Group").check()
    page.wait_for_url(re.compile("columns="))
    page.get_by_role("columnheader", name="Group").wait_for()
    page.get_by_role("searchbox").first.fill("gb1-ridge-00002")  # other tests let jobs fail on this Master
    page.wait_for_url(re.compile("q=gb1-ridge-00002"))
    settled(page.locator("tbody tr"), 1)
    page.reload()
    settled(page.locator("tbody tr"), 1)
    assert page.get_by_role("columnheader", name="Group").count() == 1
    page.go_back()
    page.wait_for_url(re.compile(r"/jobs\?state=FAILED$"))


def test_several_are_selected_with_shift_and_a_verb_is_taken_back(visit, site) -> None:
    site.add([job_row(number, "WAITING") for number in range(301, 305)])
    page = visit("/jobs?q=gb1-ridge-0030&sort=experiment_id")
    ready(page)
    boxes = page.locator("tbody input[type=checkbox]")
    boxes.nth(0).click()
    boxes.nth(3).click(modifiers=["Shift"])
    assert page.locator("#verbs .told").inner_text() == "4 selected"
    assert page.get_by_role("button", name="Retry").is_disabled()
    page.get_by_role("button", name="Hold").click()
    settled(page.locator("tr[data-state=HELD]"), 4)
    page.get_by_role("button", name="Undo").click()
    settled(page.locator("tr[data-state=WAITING]"), 4)
    assert page.locator("#verbs .told").inner_text() == "4 selected"  # rows changed, the selection stayed
    page.keyboard.press("Escape")
    assert page.locator("#verbs").is_hidden()


def in_order(page, *wanted: str) -> None:
    """Wait until the rows are in this order."""
    deadline = time.monotonic() + 15
    while (found := order(page)) != [*wanted] and time.monotonic() < deadline:
        time.sleep(0.03)
    assert found == [*wanted]


def is_list(answer) -> bool:
    """True of an answer with the list of jobs alone."""
    return answer.request.headers.get("x-fragment") == "list"


def order(page) -> list[str]:
    return page.locator("tbody tr").evaluate_all("rows => rows.map(row => row.dataset.id.slice(-3))")


def test_waiting_jobs_are_reordered_with_keys_and_with_the_mouse(visit, site) -> None:
    site.add([job_row(number, "WAITING", priority=50) for number in range(0x411, 0x414)])
    page = visit("/jobs?state=WAITING&sort=order&q=gb1-ridge-010")
    ready(page)
    in_order(page, "411", "412", "413")
    live(page)
    page.locator("tr .grip").nth(0).focus()
    with (
        page.expect_response(is_list),
        page.expect_response(lambda answer: answer.request.method == "PATCH") as answered,
    ):
        page.keyboard.press("ArrowDown")
    assert answered.value.ok
    page.locator(".message", has_text="is after").wait_for()
    page.locator("#list:not([aria-busy])").wait_for()
    in_order(page, "412", "411", "413")
    settled(
        page.locator("#job-j-0000000000000411 .grip:focus"), 1
    )  # in the list that was fetched after the move, too
    with page.expect_response(is_list):
        page.reload()  # the page fetches the list again once its stream of events is open
    page.locator("#list:not([aria-busy])").wait_for()
    grip, above = (
        page.locator("tr .grip").nth(2).bounding_box(),
        page.locator("tbody tr").nth(0).bounding_box(),
    )
    page.mouse.move(grip["x"] + 5, grip["y"] + 5)
    page.mouse.down()
    page.mouse.move(above["x"] + 60, above["y"] + 4, steps=6)
    with page.expect_response(lambda answer: answer.request.method == "PATCH"):
        page.mouse.up()
    page.reload()
    in_order(page, "413", "412", "411")


def test_a_row_changes_within_a_second_of_its_event(visit, site) -> None:
    site.add([job_row(0x501, "WAITING")])
    page = visit("/jobs")
    ready(page)
    row = page.locator("#job-j-0000000000000501")
    live(page)
    page.wait_for_timeout(300)  # the refresh after the connection
    site.change(
        "j-0000000000000501",
        state="RUNNING",
        stage="embedding",
        progress=0.25,
        started_at=timestamp(),
        node="node-1",
    )
    row.locator(".running").wait_for()
    assert "Embedding" in row.inner_text()
    assert "25 %" in row.inner_text()
    lags = []  # their median counts: one of them may meet something else that the machine does
    for percent in (30, 40, 50, 60, 70):
        begin = time.monotonic()
        site.change("j-0000000000000501", progress=percent / 100)
        row.get_by_text(f"{percent} %").first.wait_for()
        lags.append(time.monotonic() - begin)
    assert sorted(lags)[2] < 2.0  # the page waits 0.4 s at most
    page.locator("#counts").get_by_role("link", name=re.compile("Running")).wait_for()


def test_the_queue_is_paused_and_every_page_that_is_open_says_so(visit) -> None:
    one, other = visit("/jobs"), visit("/jobs")
    ready(one)
    ready(other)
    live(other)
    one.get_by_role("button", name="Pause the queue").click()
    other.get_by_role("button", name="Resume the queue").wait_for()
    one.get_by_role("button", name="Undo").click()
    other.get_by_role("button", name="Pause the queue").wait_for()


def test_a_job_shows_its_stages_its_log_and_its_curves_as_they_come(visit, site) -> None:
    job_id = "j-0000000000000601"
    site.add([job_row(0x601, "RUNNING", stage="split", progress=0.0, created_at=timestamp())])
    page = visit(f"/jobs/{job_id}")
    ready(page)

    def write(connection) -> None:
        for number in range(5):
            line = {"document": {"time": timestamp(), "text": f"epoch {number} {EVIL}"}}
            connection.execute(insert(job_logs).values(job_id=job_id, kind="log", at=timestamp(), line=line))
            value = {
                "name": "val/loss",
                "value": 1.0 / (1 + number),
                "epoch": number,
                "fold": 0,
                "time": timestamp(),
            }
            connection.execute(
                insert(job_logs).values(
                    job_id=job_id, kind="metric", at=timestamp(), line={"document": value}
                )
            )

    site.master.database.write(write)
    page.locator("#log-lines", has_text="epoch 4").wait_for()
    assert page.locator("#log-lines img").count() == 0
    page.locator("#curve-list figure[data-points='5']").wait_for()
    assert "loss" in page.locator("#curve-list svg").get_attribute("aria-label")
    page.get_by_role("searchbox", name="Find in the log").fill("epoch 3")
    settled(page.locator("#log-lines .line:visible"), 1)
    site.change(job_id, stage="train", progress=0.5)
    page.locator("[data-stage=train].now").wait_for()
    assert page.locator("[data-stage=split].done").count() == 1
    site.change(job_id, state="FAILED", error_code="empty_split", error_message=EVIL, finished_at=timestamp())
    page.locator("#problem", has_text="empty_split").wait_for()
    page.get_by_role("button", name="Retry").wait_for()


def test_flags_are_checked_planned_and_sent_once(visit) -> None:
    page = visit("/submit")
    ready(page)
    flags = page.locator("#flags")
    flags.fill("data.sorce=GB1\nmodel.name=ridge\n")
    page.locator("#plan[data-state=wrong]", has_text="did you mean data.source").wait_for()
    flags.fill("data.source=GB1\nmodel.name=ridge\n")
    page.locator("#plan [data-stage=train]").wait_for()
    settled(page.locator("#problems li"), 0)
    page.locator("[data-flag='split.method']").select_option("modulo")
    assert "split.method=modulo" in flags.input_value()
    page.get_by_label("Experiment id").fill("from-the-page")
    page.get_by_role("button", name="Submit job").click()
    page.wait_for_url(re.compile("/jobs/j-"))
    assert page.locator("h1").inner_text() == "from-the-page"
    assert "split.method" in page.locator("main").inner_text()


def test_a_file_is_dropped_checked_looked_at_and_chosen_for_a_job(visit, tmp_path) -> None:
    rows = "".join(
        f"V{position}{residue},{number}.5\n"
        for number, (position, residue) in enumerate([(2, "A"), (3, "L"), (4, "D"), (5, "K")])
    )
    good, bad = tmp_path / "GB1 lab.csv", tmp_path / "bad.csv"
    good.write_text(f"# sequence: MVVVVK\nmutant,score\n{rows}")
    bad.write_text("mutant,score\nnot a mutant,1\n")
    page = visit("/datasets")
    ready(page)
    page.locator("summary", has_text="How to read it").click()
    page.locator("[name=template]").fill("MVVVVK")
    page.locator("#file").set_input_files(good)
    page.locator("#uploads [data-state=done]").wait_for()
    page.get_by_role("link", name="Look at GB1 lab").click()
    ready(page)
    assert "4 rows were understood" in page.locator(".conclusion").inner_text()
    assert page.locator("figure[data-kind=curve] svg").count() == 2
    page.get_by_role("link", name="Train on it").click()
    ready(page)
    assert "data.source=GB1 lab" in page.locator("#flags").input_value()
    page.get_by_role("link", name=re.compile("^Baseline")).click()
    ready(page)
    page.locator("#plan [data-stage=train]").wait_for()
    assert "split.folds=5" in page.locator("#flags").input_value()


def test_a_refused_file_is_told_with_every_problem(browser, site, tmp_path) -> None:
    context = browser.new_context()  # a refusal is an error of the network to the console
    page = context.new_page()
    page.goto(f"{site.address}/datasets")
    file = tmp_path / f"bad{EVIL.replace('/', '')}.csv"
    file.write_text("mutant,score\nnot a mutant,1\n")
    page.locator("#file").set_input_files(file)
    refused = page.locator("#uploads [data-state=refused]")
    refused.wait_for()
    assert refused.locator(".bad").inner_text()
    assert page.locator("img").count() == 0
    context.close()


def test_a_sweep_is_added_submitted_and_counted(visit) -> None:
    page = visit("/groups")
    ready(page)
    page.get_by_label("Name").fill("seeds")
    page.get_by_role("button", name="Make a group").click()
    page.wait_for_url(re.compile("/groups/g-"))
    ready(page)
    page.locator("#base").fill("data.source=GB1\nmodel.name=ridge")
    page.locator("#grid").fill("split.seed=[0, 1, 2]")
    page.get_by_role("button", name="Add to the group").click()
    page.get_by_role("button", name="Submit", exact=True).click()
    settled(page.locator("#part tbody tr"), 3)
    assert page.get_by_role("columnheader", name="split.seed").count() == 1


def test_a_template_that_is_a_sweep_is_sent_as_its_experiments(visit) -> None:
    page = visit("/submit?template=sweep")
    ready(page)
    page.locator("[data-flag='data.source']").fill("GB1")
    page.locator("[name=group]").fill("models over seeds")
    page.get_by_role("button", name="Submit 9 experiments").click()
    page.wait_for_url(re.compile("/groups/g-"))
    settled(page.locator("#part tbody tr"), 9)


def test_a_copy_is_planned_beside_its_original(visit) -> None:
    """It never was: the form's field `dataset` hid what the page says of the form."""
    page = visit("/submit?clone=j-0000000000000001")
    ready(page)
    page.locator("#plan a[href='/jobs/j-0000000000000001']").wait_for()


def test_a_model_gets_a_name_and_loses_it(visit) -> None:
    page = visit("/models/j-0000000000000001")
    ready(page)
    page.locator("[name=alias]").fill("champion")
    page.get_by_role("button", name="Give the name").click()
    page.locator("[data-alias=champion]").wait_for()
    page.get_by_role("button", name="Take the name champion away").click()
    settled(page.locator("[data-alias=champion]"), 0)


def test_a_deleted_job_is_taken_back_on_the_next_page_and_on_the_settings(browser, site) -> None:
    job_id = f"j-{0x801:016x}"
    site.add([job_row(0x801, "FAILED", experiment_id="to-delete")])
    context = browser.new_context(
        locale="en-US"
    )  # what still loads of a deleted job is an error to the console
    page = context.new_page()
    page.goto(f"{site.address}/jobs/{job_id}")
    ready(page)
    page.get_by_role("button", name="Delete").click()
    page.wait_for_url("**/jobs")
    ready(page)
    page.get_by_role("button", name="Undo").click()
    page.locator("#messages", has_text="Taken back").wait_for()
    page.goto(f"{site.address}/jobs/{job_id}")
    ready(page)
    page.get_by_role("button", name="Delete").click()
    page.wait_for_url("**/jobs")
    page.goto(f"{site.address}/settings")
    ready(page)
    page.get_by_role("button", name="Restore to-delete").click()
    settled(page.locator(f"[data-deleted={job_id}]"), 0)
    page.goto(f"{site.address}/jobs/{job_id}")
    assert page.locator("h1").inner_text() == "to-delete"
    context.close()


def test_a_plate_leads_from_a_well_to_its_reason_and_to_the_table(visit) -> None:
    page = visit(f"/jobs/{DESIGNED}")
    ready(page)
    page.get_by_role("link", name=re.compile("^Plate")).click()
    ready(page)
    assert page.locator(".well-plate").count() == 2
    assert page.locator(".well-plate td").count() == 2 * 96
    assert "2 of the 96 variants that were asked for" in page.locator(".conclusion").inner_text()
    page.get_by_role("link", name="V2A").click()
    page.wait_for_url("**/plate#well-A2")
    assert "best" in page.locator("tr:target").inner_text()
    with page.expect_download() as saved:
        page.get_by_role("link", name="Download CSV").click()
    assert "V2A" in saved.value.path().read_text()


def test_a_simulation_is_asked_for_as_a_command_that_reports_here(visit, site) -> None:
    page = visit("/campaigns")
    ready(page)
    page.locator("#flags").fill("data.source=GB1 model.name=ridge")
    page.get_by_label("Campaigns of each rule").fill("20")
    page.get_by_role("button", name="Write the command").click()
    page.wait_for_url(re.compile("seeds=20"))
    command = page.locator("#command").inner_text()
    assert command.startswith("proteinx simulate data.source=GB1 model.name=ridge --start 96")
    assert command.endswith(f"--seeds 20 --master {site.address}")
    assert page.get_by_role("alert").count() == 0
    live(page)
    site.add([job_row(0x701, "RUNNING", kind="run", experiment_id="simulation-GB1", stage=None)])
    site.change("j-0000000000000701", note="3 of 20 campaigns")
    page.locator("#part", has_text="3 of 20 campaigns").wait_for()


def test_a_token_is_shown_once_and_revoked(visit, site) -> None:
    page = visit("/settings")
    ready(page)
    page.on("dialog", lambda dialog: dialog.accept())
    page.locator("[name=name]").fill("robot")
    page.get_by_role("button", name="Make a token").click()
    page.locator("#new-token").wait_for()
    assert page.locator("#new-token code").inner_text().startswith("px_")
    page.locator("tr[data-name=robot] [data-revoke]").click()
    settled(page.locator("tr[data-name=robot] [data-revoke]"), 0)
    page.reload()
    assert page.locator("#new-token").is_hidden()


def test_a_page_of_10000_jobs_opens_in_less_than_a_second(visit, site) -> None:
    row = job_row(0, "SUCCEEDED", created_by="bulk")
    site.add([{**row, "job_id": f"j-{k:016x}", "place": float(k)} for k in range(20_000, 30_000)])
    try:
        page = visit("/jobs?state=SUCCEEDED")
        ready(page)
        timing = page.evaluate("performance.getEntriesByType('navigation')[0].toJSON()")
        assert page.locator("tbody tr").count() == 100
        assert timing["decodedBodySize"] < 300_000  # of all jobs: 13 MB
        assert timing["domComplete"] < 6_000  # a machine that does much else; 0.3 s on a quiet one
        page.get_by_role("link", name="Next").click()
        page.wait_for_url(re.compile("page=2"))
    finally:  # the other tests share this Master, in any order
        bulk = delete(jobs).where(jobs.c.created_by == "bulk")
        site.master.database.write(lambda connection: connection.execute(bulk))


def test_a_lost_connection_is_said_and_heals(browser, site) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.route("**/api/events*", lambda route: route.abort())
    page.goto(f"{site.address}/jobs")
    page.locator("#connection").wait_for(state="visible", timeout=10_000)
    page.unroute("**/api/events*")
    page.locator("#connection").wait_for(state="hidden", timeout=20_000)
    context.close()


def test_the_language_is_chosen_kept_and_taken_from_the_browser(visit) -> None:
    page = visit("/jobs", locale="zh-CN")
    assert page.locator("h1").inner_text() == "任务"
    page.get_by_role("link", name="English").click()
    page.goto(page.url.split("?")[0])
    assert page.locator("h1").inner_text() == "Jobs"
    assert page.locator("html").get_attribute("lang") == "en"


def test_without_a_token_a_closed_master_asks_for_one(visit, closed_site) -> None:
    page = visit("/jobs?state=FAILED", base=closed_site.address)
    page.wait_for_url(re.compile("/login.next="))
    page.get_by_label("Token").fill("px_wrong")
    with page.expect_response(lambda answer: answer.request.method == "POST") as answered:
        page.get_by_role("button", name="Sign in").click()
    assert answered.value.status == 200
    page.get_by_role("alert").wait_for()
    page.get_by_label("Token").fill("px_secret-of-the-operator")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/jobs?state=FAILED")
    assert page.evaluate("document.cookie") == ""  # scripts do not see it
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/login")
