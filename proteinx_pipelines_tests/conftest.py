"""What holds for every test: nothing of this machine's settings leaks in, a real server, where the real data lies."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from proteinx_pipelines.setting_values import ENVIRONMENT
from proteinx_pipelines_tests.valkey import start_valkey

REPOSITORY = Path(__file__).resolve().parents[1]
BROWSER_ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
SHARED_DATA = REPOSITORY.parent / "shared" / "data"

hypothesis.settings.register_profile(
    "proteinx", deadline=None
)  # two processes on two cores: a time says nothing
hypothesis.settings.load_profile("proteinx")


@pytest.fixture(autouse=True)
def _without_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's REDIS_URL or WORKDIR must never be what a test works on."""
    for variable in os.environ:
        if variable.startswith(("PROTEINX_", "DAGSTER_")) or variable in ENVIRONMENT.values():
            monkeypatch.delenv(variable)


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a Redis-protocol server of this test process's own, on a free port of 127.0.0.1."""
    server = start_valkey(lambda: tmp_path_factory.mktemp("valkey"))
    yield f"redis://127.0.0.1:{server.port}/0"
    server.stop()


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with real data beside the checkout; tests that need it are skipped where it is missing."""
    if not SHARED_DATA.is_dir():
        pytest.skip("needs the real data sets in ../shared/data, which are not there")
    return SHARED_DATA


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    """Headless Chromium of a module; skipped where there is none. Its event loop must not outlive the module."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no chromium on this machine (Debian: apt-get install chromium)")
    api = pytest.importorskip(
        "playwright.sync_api", reason="playwright drives the browser: pip install playwright"
    )
    with api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=chromium, args=BROWSER_ARGUMENTS)
        yield found
        found.close()
