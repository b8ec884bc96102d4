"""A real browser, and real reports for it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    """Headless Chromium; skipped where there is none."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no chromium on this machine (Debian: apt-get install chromium)")
    api = pytest.importorskip(
        "playwright.sync_api", reason="playwright drives the browser: pip install playwright"
    )
    with api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield found
        found.close()


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Reports of real experiments on the packaged data, each made without a queue."""
    from proteinx_pipelines import demo
    from proteinx_pipelines.execution.run_local import run_local_experiment
    from proteinx_pipelines.flags.parsing import parse_flags
    from proteinx_pipelines.settings import load_settings

    folder, data = tmp_path_factory.mktemp("reports"), Path(demo.__file__).with_name("data")
    settings = load_settings(environment={"PROTEINX_WORKDIR": str(folder)})
    wanted = {
        "ridge": {"data.source": "GB1_Nisthal_2019", "model.name": "ridge"},
        "gp": {"data.source": "GB1_Nisthal_2019", "model.name": "gp", "split.folds": 5},
        "蛋白质": {"data.source": "蛋白质G", "model.name": "ridge"},
    }
    made = {}
    for number, (name, flags) in enumerate(wanted.items()):
        source = data / "GB1_Nisthal_2019.csv.gz"
        if "蛋" in name:
            source = folder / "蛋白质G.csv.gz"
            shutil.copy(data / "GB1_Nisthal_2019.csv.gz", source)
            shutil.copy(data / "GB1_Nisthal_2019.json", folder / "蛋白质G.json")
        run_local_experiment(settings, f"report-{number}", parse_flags(flags), payload_ref=str(source))
        made[name] = settings.experiments_dir / f"report-{number}" / "artifacts" / "report.html"
    return made
