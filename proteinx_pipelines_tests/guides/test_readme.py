"""The README's numbers are those of the pages that it links to."""

import re

import pytest

from proteinx_pipelines.flags.split import LEAKAGE_CHECKS, SPLIT_METHODS
from proteinx_pipelines_tests.guides.blocks import DOCS, REPOSITORY

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
CHINESE = (REPOSITORY / "README.zh.md").read_text(encoding="utf-8")
NUMBERS = [
    ("0.756", "models.md", r"\| `auto` \| 0\.756 \|"),
    ("0.763", "models.md", r"Kermut \(ESM-2, structure\), published \| 0\.763"),
    ("0.468", "models.md", r"\| `auto` \| 0\.756 \| 0\.468"),
    ("0.645", "models.md", r"0\.759 \(0\.718\) \| 0\.645"),
    ("0.673", "models.md", r"\| 0\.777 \| 0\.673 \|"),
    ("0.772", "models.md", r"`auto` with `model\.prior=default` \| 0\.772 \| 0\.516"),
    ("0.516", "models.md", r"`auto` with `model\.prior=default` \| 0\.772 \| 0\.516"),
    ("0.760", "models.md", r"ProteinNPT, published \| 0\.760"),
    ("0.615", "models.md", r"ProteinNPT, published \| 0\.760 \| 0\.615"),
    ("0.687", "models.md", r"Kermut, published: 0\.755, 0\.687"),
    ("0.658", "models.md", r"0\.763 \| 0\.658"),
    ("68", "science.md", r"\(68 to 298 rows\)"),
    ("447", "science.md", r"447 clean columns"),
    ("91", "models.md", r"covers 91 to 95 % of the test variants on each of the twelve"),
    ("0.932", "design.md", r"here, default rule .* 0\.932 \|"),
    ("0.462", "design.md", r"here, random .* 0\.462 \|"),
    ("0.930", "design.md", r"ALDE, best of 48.* 0\.930 \|"),
    ("0.4 s", "performance.md", r"`rerun\.split_6000`\) \| 0\.42\d* s .*the whole experiment: (29\.9|30)"),
    ("0.5 s", "performance.md", r"`orchestration\.queued`\) \| 0\.(4[5-9]|5[0-4])\d* s"),
    ("2.5 s", "performance.md", r"`selection\.to_parquet`\) \| 2\.5\d* s .* \| 6\.[0-4]\d* \|"),
    ("1.7", "performance.md", r"`embedding\.fp32_8m`\) .* \| 1\.7\d* \|"),
    ("3.7", "performance.md", r"`embedding\.bf16_8m`\) .* \| 3\.7\d* \|"),
]
"""Number in the README, page, and how it stands there."""


@pytest.mark.parametrize(("number", "page", "pattern"), NUMBERS, ids=[number for number, _, _ in NUMBERS])
def test_a_number_of_the_readme_stands_in_its_page(number: str, page: str, pattern: str) -> None:
    assert number in README
    assert re.search(pattern, (DOCS / page).read_text(encoding="utf-8")), f"{page} says otherwise now"


def test_the_readme_counts_what_there_is() -> None:
    """It said eleven split methods when there were twelve."""
    words = {6: "Six", 7: "Seven", 11: "Eleven", 12: "Twelve", 13: "Thirteen"}
    assert f"{words[len(SPLIT_METHODS)]} methods" in README
    assert f"{words[len(LEAKAGE_CHECKS)]} checks" in README


def test_every_bullet_has_a_number_and_a_page() -> None:
    part = README.split("## What you get")[1].split("Where others are better")[0]
    bullets = [line for line in part.splitlines() if line.startswith("- ")]
    assert len(bullets) >= 7
    counted = re.compile(r"\d|[Tt]welve|[Ss]ix|[Oo]ne result")
    assert [line for line in bullets if not counted.search(line) or "](docs/" not in line] == []


def test_the_chinese_readme_has_the_same_numbers_and_links() -> None:
    """Links to translated pages may differ."""

    def facts(text: str) -> tuple[list[str], list[str]]:
        text = text.replace("docs/zh/tutorials", "docs/tutorials")
        links = [link for link in re.findall(r"\]\(([^)\s#]+)", text) if not link.startswith("README")]
        return sorted(re.findall(r"\d+\.\d+|\d{2,}(?:,\d{3})*", text)), sorted(filter(None, links))

    english, chinese = facts(README), facts(CHINESE)
    assert chinese[0] == english[0]
    assert chinese[1] == english[1]


def test_the_first_screen_is_one_screen() -> None:
    before = README.split("## What you get")[0]
    assert len(before.splitlines()) <= 40
    assert "make demo" in before
    assert before.count("docs/pictures/") == 2
