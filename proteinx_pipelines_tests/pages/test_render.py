"""Templates escape, one policy covers all that a page runs, and the modules make one script."""

import base64
import hashlib
import re
from pathlib import Path

import pytest

from proteinx_pipelines.pages import render
from proteinx_pipelines.pages.figures.curve import Line, curve
from proteinx_pipelines.pages.figures.mutation_map import Panel, mutation_map
from proteinx_pipelines.pages.figures.scatter import DENSE_ABOVE, scatter
from proteinx_pipelines.pages.table import Table

np = pytest.importorskip("numpy")
ASSETS = Path(render.__file__).with_name("assets")
HOSTILE = (
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "</script><script>alert(1)</script>",
    "\"><svg onload=alert(1)>",
    "{{ 7 * 7 }}", "javascript:alert(1)", "</style><style>*{display:none}", "&lt;b&gt;", "a`<b>`", "\u2028</title>",
)  # fmt: skip


def figure_page(evil: str) -> str:
    """A page with that text wherever a text can be."""
    values = np.linspace(0, 1, 40)
    figures = [
        scatter(values, values, [evil] * 40, caption=evil, alternative=evil, y_label=evil),
        curve("c", [Line(evil, values, values, "#000000"), Line("b", values, values, "#111111")],
              title=evil, caption=evil, alternative=evil, x_label=evil, y_label=evil, marked={evil: 0.5}),
        mutation_map([evil, "A2"], [0, -1], [Panel(evil, np.ones((20, 2)), 0.0, evil)], caption=evil, alternative=evil),
    ]  # fmt: skip
    source = (
        '{% extends "base.html" %}{% import "parts.html" as parts %}{% block content %}<h1>{{ title }}</h1>'
        "{% for f in figures %}{{ parts.figure(f) }}{% endfor %}"
        "{{ parts.table(found) }}<p>{{ title | coded }}</p>{% endblock %}"
    )
    found = Table("t", evil, [evil, "n"], [(evil, 1), (evil, None)], evil)
    environment = render.environment()
    template = environment.from_string(source)
    original = environment.get_template
    environment.get_template = lambda name, *a, **k: (
        template if name == "probe.html" else original(name, *a, **k)
    )
    try:
        return render.render_page("probe.html", title=evil, figures=figures, found=found)
    finally:
        environment.get_template = original


@pytest.mark.parametrize("evil", HOSTILE)
def test_text_from_outside_is_text_everywhere(evil: str) -> None:
    """What a tag of the text would be is counted against the page of a harmless text."""
    harmless, page = figure_page("plain"), figure_page(evil)
    for tag in ("<script", "</script", "<img", "<svg", "<style", "</style", "<b>", "onload=", "onerror="):
        escaped = evil.count(tag.lstrip("<")) and tag in ("onload=", "onerror=")
        assert escaped or page.lower().count(tag) == harmless.lower().count(tag), tag
    assert "49" not in page.split("<h1>")[1].split("</h1>")[0]


def test_the_policy_names_the_script_and_the_style_that_the_page_holds_and_nothing_else() -> None:
    page = figure_page("plain")
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)[1].replace(
        "&#39;", "'"
    )
    script = re.search(r'<script type="module">(.*?)</script>', page, re.DOTALL)[1]
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)[1]
    for text in (script, style):
        assert f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}" in policy
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert " style=" not in page  # the policy would refuse it


def test_script_and_style_are_small() -> None:
    assert len(render.inline_script().encode()) + len(render.inline_style().encode()) < 60_000


def test_every_module_is_in_the_script_after_those_it_imports_and_no_name_is_taken_twice() -> None:
    assert {path.stem for path in ASSETS.glob("*.js")} == set(render._MODULES)
    for position, name in enumerate(render._MODULES):
        wanted = re.findall(r'from "\./(\w+)\.js"', (ASSETS / f"{name}.js").read_text())
        assert set(wanted) <= set(render._MODULES[:position]), name
    names = re.findall(r"^(?:function|const|let|class) (\w+)", render.inline_script(), re.MULTILINE)
    assert len(names) == len(set(names))
    assert "import " not in render.inline_script()


def test_nothing_is_loaded_from_elsewhere() -> None:
    page = figure_page("plain")
    assert set(re.findall(r'(?:src|href)="(?!#|data:)([^"]*)"', page)) == set()
    assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)", page) == []


@pytest.mark.parametrize("n", [1, 40, DENSE_ABOVE, DENSE_ABOVE + 1])
def test_a_scatter_is_dots_or_a_density_that_counts_every_variant(n: int) -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(2, n))
    found = scatter(x, y, ["A1C"] * n, caption="c", alternative="a")
    if n <= DENSE_ABOVE:
        assert found.drawing.split("data-marks")[1].count("h0") == n
    else:
        counts = np.frombuffer(base64.b64decode(found.payload["counts"]["f32"]), "<f4")
        assert counts.sum() == n
        assert len(found.payload_json()) < 100_000


def test_a_constant_column_has_a_range_to_be_drawn_in() -> None:
    found = scatter(np.ones(5), np.ones(5), list("abcde"), caption="c", alternative="a")
    assert "nan" not in found.drawing.lower()
    assert "inf" not in found.drawing.lower()
