"""Takes the pictures of the README: the report and the page of jobs, in headless Chromium.

    python docs/making/screenshots.py

Starts `proteinx up` in an empty WORKDIR, sends the experiments of the first tutorials on the measurements of protein G,
and writes `docs/pictures/report.png` and `jobs.png`, each below 200 kB, while the last ones wait or run. Takes about
two minutes; needs the extra `dev` and Debian's chromium.
"""

import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.resources import files
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from proteinx_pipelines.client import Client

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
SOURCE = "GB1_Nisthal_2019"
FOLDS = {"data.source": SOURCE, "split.folds": 5}
SHOWN = "gb1-auto"
"""The experiment whose report is shown."""
FINISHED: dict[str, dict[str, object]] = {
    "gb1-ridge": {"model.name": "ridge"},
    "gb1-gp": {"model.name": "gp"},
    "gb1-forest": {"model.name": "forest"},
    "gb1-positions": {"model.name": "gp", "split.method": "modulo"},
    "gb1-empty": {"model.name": "ridge", "data.mut_num": {"min": 7}},
    SHOWN: {"model.name": "auto"},
}
"""Id -> flags of the experiments that have ended; one of them failed, as some do."""
UNDER_WAY: dict[str, dict[str, object]] = {
    "gb1-network": {"model.name": "cnn", "train.max_epochs": 2000},
    "gb1-contiguous": {"model.name": "auto", "split.method": "contiguous"},
    "gb1-stratified": {"model.name": "auto", "split.method": "stratified"},
}
"""Those that run or wait while the page is looked at."""


def main() -> None:
    """Take both pictures."""
    with tempfile.TemporaryDirectory(prefix="proteinx-shown-") as name:
        workdir = Path(name)
        environment = {**os.environ, "PROTEINX_WORKDIR": name, "PROTEINX_MASTER_PORT": "0",
                       "PROTEINX_NODE_NAME": "bench-1"}  # fmt: skip
        environment.pop("REDIS_URL", None)
        proteinx = [sys.executable, "-m", "proteinx_pipelines.cli.main"]
        subprocess.run([*proteinx, "db", "import", str(_measurements(workdir))], env=environment, check=True)
        node = subprocess.Popen([*proteinx, "up", "--no-web"], env=environment, stdout=subprocess.DEVNULL)
        try:
            _show(workdir, _address(workdir, node))
        finally:
            node.terminate()
            node.wait(timeout=60)


def _show(workdir: Path, url: str) -> None:
    with Client(url) as client:
        sent = [client.submit({**FOLDS, **flags}, experiment_id=name) for name, flags in FINISHED.items()]
        for job in sent:
            client.wait(job)
        for name, flags in UNDER_WAY.items():
            client.submit({**FOLDS, **flags}, experiment_id=name)
        with sync_playwright() as playwright:
            path = shutil.which("chromium") or shutil.which("chromium-browser")
            browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
            page = browser.new_page(viewport=SIZE, color_scheme="light", locale="en")
            _take(page, f"{url}/jobs", "jobs.png")
            report = workdir / "experiments" / SHOWN / "artifacts" / "report.html"
            _take(page, report.as_uri(), "report.png")
            browser.close()


def _measurements(folder: Path) -> Path:
    """The measurements that come with the package, as a file beside its template."""
    data = files("proteinx_pipelines.demo") / "data"
    (folder / f"{SOURCE}.json").write_bytes((data / f"{SOURCE}.json").read_bytes())
    table = folder / f"{SOURCE}.csv"
    table.write_bytes(gzip.decompress((data / f"{SOURCE}.csv.gz").read_bytes()))
    return table


def _address(workdir: Path, node: "subprocess.Popen[bytes]") -> str:
    """Address of the Master that this process has started."""
    place = workdir / "master" / "master.json"
    for _ in range(1200):
        if node.poll() is not None:
            sys.exit("`proteinx up` ended; it says why above.")
        if place.is_file() and (found := json.loads(place.read_text(encoding="utf-8")))["pid"] != node.pid:
            return str(found["url"])
        time.sleep(0.1)
    sys.exit("No Master within two minutes.")


def _take(page: Page, address: str, name: str) -> None:
    page.goto(address)
    page.wait_for_load_state("load")
    page.wait_for_timeout(1500)  # pictures are drawn by the page's script
    target = PICTURES / name
    page.screenshot(path=target)
    if target.stat().st_size > MOST_BYTES:
        sys.exit(f"{target} has {target.stat().st_size:,} bytes, more than {MOST_BYTES:,}.")


if __name__ == "__main__":
    main()
