"""Pages of real experiments whose every free text is hostile, and what a notebook shows of them."""

import re
import shutil
from pathlib import Path

import pytest

from proteinx_pipelines import demo
from proteinx_pipelines.execution.run_local import run_local_experiment
from proteinx_pipelines.experiment import open_experiment
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.services.ranking import rank_experiments
from proteinx_pipelines.settings import load_settings

pytestmark = pytest.mark.slow

EVIL = "<img src=x onerror=alert(1)>'\"&{{7*7}}"
DATA = Path(demo.__file__).with_name("data")


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory) -> list:
    """Two experiments on a source of that name, with it in `ext` and in a file's name."""
    folder = tmp_path_factory.mktemp("evil")
    settings = load_settings(environment={"PROTEINX_WORKDIR": str(folder)})
    from proteinx_pipelines.catalog.importing import import_file

    copy = folder / "assay.csv.gz"
    shutil.copy(DATA / "GB1_Nisthal_2019.csv.gz", copy)
    shutil.copy(DATA / "GB1_Nisthal_2019.json", folder / "assay.json")
    import_file(settings.database_path, copy, name=EVIL)
    base = {
        "data.source": EVIL,
        "model.name": "ridge",
        "evaluate.bootstrap": 20,
        "ext": {"note": EVIL, "group": EVIL},
    }
    for number, extra in enumerate(
        ({}, {"split.seed": 1, "design.library": "singles", "design.exclude": ["V39L"]})
    ):
        run_local_experiment(settings, f"evil-{number}", parse_flags({**base, **extra}))
    return [open_experiment(settings.experiments_dir / f"evil-{number}") for number in range(2)]


def tags(page: str) -> list[str]:
    """Names of all elements of a page."""
    return re.findall(
        r"<([a-z][a-z0-9]*)", re.sub(r"<(script|style)[^>]*>.*?</\1>", r"<\1>", page, flags=re.DOTALL)
    )


def test_no_text_of_a_message_is_more_than_text_in_the_report(evil) -> None:
    for experiment in evil:
        page = experiment.report_path.read_text(encoding="utf-8")
        assert "img" not in tags(page)
        assert "49" not in page.split("<h1>")[1].split("</h1>")[0]
        assert "&lt;img src=x onerror=alert(1)&gt;" in page
        assert "What to make next" in page or experiment is evil[0]


def test_the_report_says_whose_it_is_when_and_where(evil) -> None:
    for number, experiment in enumerate(evil):
        facts = re.search(r'<ul class="facts">(.*?)</ul>', experiment.report_path.read_text(), re.DOTALL)[1]
        told = re.sub(r"<[^>]*>", " ", facts)
        assert f"evil-{number}" in told
        assert re.search(r"Finished\s+\d{4}-\d\d-\d\d \d\d:\d\d UTC", told)
        assert "Computed in" in told
        assert re.search(r"Node\s+\S+", told)


def test_a_notebook_shows_an_experiment_its_pictures_and_a_leaderboard_and_runs_nothing(evil) -> None:
    board = rank_experiments(evil, ("spearman", "mse"), resamples=20)
    shown = [
        evil[0]._repr_html_(),
        board._repr_html_(),
        evil[0].plot.scatter()._repr_html_(),
        evil[1].plot.map()._repr_html_(),
    ]
    for text in shown:
        assert not {"img", "script"} & set(tags(text))
    assert "evil-0" in shown[0]
    assert "evil-1" in shown[1]
    assert "<svg" in shown[2]
    with pytest.raises(Exception, match="has no picture 'nothing'; it has scatter"):
        evil[0].plot.nothing()
