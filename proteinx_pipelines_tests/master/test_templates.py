"""Templates: each is valid, says what it needs, and the cheap ones do what they say on the demo's data."""

import pytest
from fastapi.testclient import TestClient

from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.master.groups.expanding import UnitRequest
from proteinx_pipelines.master.groups.keeping import requests_of
from proteinx_pipelines.templates import TemplateNeeds, UnknownTemplate, template, templates


def test_there_are_ten_or_more_each_with_words_and_outputs() -> None:
    assert len(templates()) >= 10
    for each in templates().values():
        assert each.title
        assert each.description.endswith((".", "?"))
        assert each.expects
        assert each.needs


@pytest.mark.parametrize("name", templates())
def test_its_flags_are_valid_with_what_it_needs(name: str) -> None:
    found = template(name)
    given = {flag: {"data.source": "GB1"}.get(flag, "checkpoint.ckpt") for flag in found.needs}
    flags = parse_flags(found.filled(given))
    assert flags.data.source == ("GB1",)
    if found.grid:
        assert len(requests_of(UnitRequest(template=name, flags=given, grid=dict(found.grid)))) > 1


def test_what_is_missing_and_what_is_unknown_is_named() -> None:
    with pytest.raises(TemplateNeeds, match=r"data.source=\.\.\."):
        template("baseline").filled({})
    with pytest.raises(UnknownTemplate, match="Did you mean 'baseline'"):
        template("baselin")


def test_a_job_by_template_has_its_flags_and_the_senders_win(http: TestClient) -> None:
    body = {"template": "baseline", "flags": {"data.source": "GB1", "split.folds": 3}}
    job = http.post("/api/jobs", json=body).json()
    assert (job["flags"]["split"]["folds"], job["flags"]["model"]["name"]) == (3, "ridge")
    wrong = http.post("/api/jobs", json={"template": "nothing"})
    assert wrong.json()["code"] == "unknown_template"
    assert len(http.get("/api/templates").json()["items"]) == len(templates())
