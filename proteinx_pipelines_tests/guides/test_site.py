"""The site is built strictly, its pictures are those of the code, and `proteinx docs` shows the pages offline."""

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from click.testing import CliRunner

from proteinx_pipelines import PROMISED
from proteinx_pipelines.cli.main import COMMANDS, main
from proteinx_pipelines.documents import page_address
from proteinx_pipelines.documents.places import page_names, root
from proteinx_pipelines.errors import InputError
from proteinx_pipelines_tests.guides.blocks import DOCS, REPOSITORY

LOOKED_AT = [
    ("index.html", "light"),
    ("tutorials/first_plate.html", "dark"),
    ("reference/python.html", "light"),
    ("reference/python.html", "dark"),
    ("troubleshooting.html", "dark"),
    ("zh/tutorials/first_node.html", "light"),
]
"""Pages that the browser looks at, and the colours of the system."""
_ADDRESS = re.compile(r"(?:href|src)=\"([^\"]+)\"")


def broken_links(folder: Path) -> list[str]:
    """Links and pictures of the HTML pages below a folder that lead nowhere, anchors included."""
    anchors: dict[Path, set[str]] = {}
    broken = []
    for page in folder.rglob("*.html"):
        for link in _ADDRESS.findall(page.read_text(encoding="utf-8")):
            parts = urlsplit(link)
            if parts.scheme not in ("", "file") or page.name == "404.html":
                continue
            path = Path(unquote(parts.path))
            there = path if parts.scheme == "file" else (page.parent / path if parts.path else page).resolve()
            if not there.exists():
                broken.append(f"{page.relative_to(folder)}: {link}")
            elif parts.fragment and there.suffix == ".html":
                if there not in anchors:
                    anchors[there] = set(re.findall(r"\bid=\"([^\"]+)\"", there.read_text(encoding="utf-8")))
                if unquote(parts.fragment) not in anchors[there] | {"__comments", "__codelineno"}:
                    broken.append(f"{page.relative_to(folder)}: {link}")
    return broken


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built strictly: a warning is an error."""
    pytest.importorskip("material", reason="pip install 'proteinx-infra[docs]'")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.slow
def test_every_link_of_the_site_leads_somewhere_and_the_code_has_its_pages(built: Path) -> None:
    assert broken_links(built) == []
    commands = (built / "reference" / "cli.html").read_text(encoding="utf-8")
    assert [name for name in COMMANDS if f"proteinx {name}" not in commands] == []
    python = (built / "reference" / "python.html").read_text(encoding="utf-8")
    assert [place for place in PROMISED.values() if place.partition(":")[2] not in python] == []


@pytest.mark.slow
def test_the_site_can_be_read_searched_and_used_by_everybody(built: Path, browser) -> None:
    """From files, without a network: light and dark, English and Chinese."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe checks accessibility")
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    for name, scheme in LOOKED_AT:
        page.emulate_media(color_scheme=scheme)
        page.goto((built / name).as_uri())
        page.locator(f"body[data-md-color-scheme={'slate' if scheme == 'dark' else 'default'}]").wait_for()
        assert page.locator("h1").count() == 1
        found = axe.Axe().run(page).response["violations"]
        serious = [each for each in found if each["impact"] in ("serious", "critical")]
        assert [(name, scheme, each["id"], each["nodes"][0]["html"][:200]) for each in serious] == []
    for text, place in (("leakage", "leakage"), ("第一个节点", "first_node")):
        page.goto((built / "index.html").as_uri())
        page.locator("[data-md-component=search-query]").fill(text)
        page.keyboard.press("End")  # the theme listens to keys
        page.locator(f"a.md-search-result__link[href*={place}]").first.wait_for(timeout=30_000)
    assert [url for url in asked if not url.startswith(("file:", "blob:", "data:"))] == []
    page.close()


def test_pictures_stay_small() -> None:
    large = [path.name for path in (DOCS / "pictures").iterdir() if path.stat().st_size > 200_000]
    assert large == []


def test_the_pages_are_drawn_without_the_built_site(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("proteinx_pipelines.documents.tempfile.mkdtemp", lambda **_named: str(tmp_path))
    monkeypatch.setattr("proteinx_pipelines.documents._built", lambda *_arguments: None)
    printed = CliRunner().invoke(main, ["docs", "howto/split"])
    assert printed.output.strip() == (tmp_path / "docs" / "howto" / "split.html").as_uri()
    base = root()
    assert base == REPOSITORY
    assert len([*tmp_path.rglob("*.html")]) == len(page_names(base))
    assert broken_links(tmp_path) == []
    assert "<td><code>leakage</code></td>" in (tmp_path / "docs" / "troubleshooting.html").read_text("utf-8")


def test_an_unknown_page_names_the_nearest() -> None:
    with pytest.raises(InputError, match="howto/split"):
        page_address("splitt")
