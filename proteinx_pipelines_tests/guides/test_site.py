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
from proteinx_pipelines.documents import open_page
from proteinx_pipelines.documents.places import page_names, root
from proteinx_pipelines.errors import InputError
from proteinx_pipelines_tests.guides.blocks import DOCS, REPOSITORY
from proteinx_pipelines_tests.test_layers import LAYERS

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


@pytest.mark.slow
def test_the_site_is_built_strictly_and_every_link_leads_somewhere(tmp_path: Path) -> None:
    pytest.importorskip("material", reason="pip install 'proteinx-infra[docs]'")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert broken_links(tmp_path) == []
    commands = (tmp_path / "reference" / "cli.html").read_text(encoding="utf-8")
    assert [name for name in COMMANDS if f"proteinx {name}" not in commands] == []
    python = (tmp_path / "reference" / "python.html").read_text(encoding="utf-8")
    assert [place for place in PROMISED.values() if place.partition(":")[2] not in python] == []
    index = (tmp_path / "search" / "search_index.js").read_text(encoding="utf-8")
    assert "第一个节点" in index
    assert 'lang="zh"' in (tmp_path / "zh" / "tutorials" / "first_plate.html").read_text(encoding="utf-8")


def test_the_picture_of_the_layers_is_that_of_the_code() -> None:
    """If not: `python docs/making/house.py`."""
    sys.path.insert(0, str(DOCS / "making"))
    try:
        from house import picture
    finally:
        sys.path.remove(str(DOCS / "making"))
    drawn = (DOCS / "pictures" / "house.svg").read_text(encoding="utf-8")
    assert drawn == picture(LAYERS)
    assert [name for layer in LAYERS for name in layer.split() if f">{name}<" not in drawn] == []


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
        open_page("splitt")
