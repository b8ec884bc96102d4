"""`proteinx demo` without its node: what it imports, and what it says at the end. The whole of it is a story test."""

import json

from proteinx_pipelines.catalog.reading import source_names
from proteinx_pipelines.cli.demo import import_data, print_results
from proteinx_pipelines.flags.parsing import parse_file
from proteinx_pipelines.settings import load_settings


def result(name: str, status: str, **more: object) -> dict[str, object]:
    facts = {"stages": {}, "summary": {}, "artifacts": {"directory": None, "files": []}, "error": None}
    return {"experiment_id": name, "generation": 1, "status": status, **facts, **more}


def test_every_example_finds_its_data_after_the_demo(folder, repository):
    """The examples' page says that the demo imports them; three of five ended FAILED with `unknown_source`."""
    settings = load_settings()
    assert "imported 14,483 variants" in "".join(import_data(settings))
    wanted = {
        source
        for path in (repository / "examples" / "flags").glob("*.json")
        for source in parse_file(path).data.source
    }
    assert wanted <= set(source_names(settings.database_path))
    assert all("already" in said for said in import_data(settings))


def test_a_failure_says_why_and_only_success_has_a_report(folder, capsys):
    """Only the first result was printed, and one without a directory ended in a traceback."""
    done = result("a", "SUCCEEDED", artifacts={"directory": "experiments/a", "files": []},
                  stages={"selection": "computed"}, summary={"test/spearman": 0.8})  # fmt: skip
    failed = result("b", "FAILED", error={"code": "empty_split", "message": "No rows.", "retryable": False})
    refused = result(
        "c", "REJECTED", generation=None, error={"code": "duplicate", "message": "Known.", "retryable": False}
    )
    print_results(load_settings(), [refused, failed, done])
    said = capsys.readouterr()
    assert "b gen 1: empty_split: No rows." in said.err
    assert "duplicate: Known." in said.err
    assert [line for line in said.out.splitlines() if line.startswith("report: ")] == [
        f"report: {load_settings().experiments_dir / 'a' / 'artifacts' / 'report.html'}"
    ]
    assert json.dumps("REJECTED") in said.out
    assert "test/spearman" in said.out
