"""Takes the pictures of the README: the report and the page of jobs, in headless Chromium.

    proteinx demo --workdir /tmp/shown
    python docs/making/screenshots.py /tmp/shown

Starts `proteinx up` on the WORKDIR of a finished demo, and writes `docs/pictures/report.png` and `jobs.png`, each below
200 kB. Needs the extra `dev` and Debian's chromium.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

PICTURES = Path(__file__).resolve().parents[1] / "pictures"
SIZE = {"width": 1000, "height": 720}
MOST_BYTES = 200_000
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
]


def main(workdir: Path) -> None:
    """Take both pictures."""
    reports = sorted(
        workdir.glob("experiments/*/artifacts/report.html"), key=lambda path: path.stat().st_mtime
    )
    if not reports:
        sys.exit(f"{workdir} has no finished experiment: proteinx demo --workdir {workdir}")
    environment = {**os.environ, "PROTEINX_WORKDIR": str(workdir), "PROTEINX_MASTER_PORT": "0"}
    environment.pop("REDIS_URL", None)
    command = [sys.executable, "-m", "proteinx_pipelines.cli.main", "up", "--no-web"]
    node = subprocess.Popen(command, env=environment, cwd=workdir, stdout=subprocess.DEVNULL)
    try:
        url = _address(workdir, node)
        with sync_playwright() as playwright:
            path = shutil.which("chromium") or shutil.which("chromium-browser")
            browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
            page = browser.new_page(viewport=SIZE, color_scheme="light", locale="en")
            _take(page, reports[-1].as_uri(), "report.png")
            _take(page, f"{url}/jobs", "jobs.png")
            browser.close()
    finally:
        node.terminate()
        node.wait(timeout=60)


def _address(workdir: Path, node: "subprocess.Popen[bytes]") -> str:
    """Address of the Master that this process has started."""
    place = workdir / "master" / "master.json"
    for _ in range(600):
        if node.poll() is not None:
            sys.exit("`proteinx up` ended; it says why above.")
        if place.is_file() and (found := json.loads(place.read_text(encoding="utf-8")))["pid"] != node.pid:
            return str(found["url"])
        time.sleep(0.1)
    sys.exit("No Master within a minute.")


def _take(page: Page, address: str, name: str) -> None:
    page.goto(address)
    page.wait_for_load_state("load")
    page.wait_for_timeout(1500)  # pictures are drawn by the page's script
    target = PICTURES / name
    page.screenshot(path=target)
    if target.stat().st_size > MOST_BYTES:
        sys.exit(f"{target} has {target.stat().st_size:,} bytes, more than {MOST_BYTES:,}.")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
