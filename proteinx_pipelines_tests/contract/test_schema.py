import json
from pathlib import Path

import jsonschema
import pytest
from pydantic import ValidationError

from proteinx_pipelines.contract.examples import examples, request_examples, result_examples
from proteinx_pipelines.contract.request import parse_message
from proteinx_pipelines.contract.result import ResultMessage
from proteinx_pipelines.contract.schema import (
    MODELS,
    documents,
    model_schema,
    request_schema,
    text_of,
    write_documents,
)

ROOT = Path(__file__).parents[2]
FOLDERS = (ROOT / "proteinx_pipelines" / "contract" / "schemas", ROOT / "docs" / "schemas")


@pytest.mark.parametrize("folder", FOLDERS, ids=("package", "docs"))
def test_the_files_are_the_generated_ones(folder):
    """If not: `python -m proteinx_pipelines.contract.schema proteinx_pipelines/contract/schemas docs/schemas`."""
    written = {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in folder.rglob("*.json")
    }
    assert written == {name: text_of(document) for name, document in documents().items()}


def test_writing_makes_every_file(tmp_path):
    paths = write_documents(tmp_path / "new")
    assert [path.relative_to(tmp_path / "new").as_posix() for path in paths] == list(documents())
    assert all(json.loads(path.read_text(encoding="utf-8")) for path in paths)


@pytest.mark.parametrize("name", request_examples())
def test_the_example_requests_are_accepted(name):
    document = request_examples()[name]
    assert parse_message(json.dumps(document).encode()).experiment_id == document["experiment_id"]


@pytest.mark.parametrize("name", result_examples())
def test_the_example_results_are_results_of_their_status(name):
    document = result_examples()[name]
    assert ResultMessage.model_validate(document).status == name.upper()
    assert len(document["result_id"]) == 64


def test_the_schemas_have_every_field_and_require_the_right_ones():
    assert request_schema()["required"] == ["experiment_id", "flags"]
    assert set(request_schema()["properties"]) == set(request_examples()["full"])
    for document in result_examples().values():
        assert (
            set(model_schema("result")["required"])
            == set(model_schema("result")["properties"])
            == set(document)
        )


def test_the_examples_are_valid_under_the_schemas_and_wrong_ones_are_not():
    request, result = (
        jsonschema.Draft202012Validator(schema) for schema in (request_schema(), model_schema("result"))
    )
    for document in request_examples().values():
        request.validate(document)
    for document in result_examples().values():
        result.validate(document)
    minimal = request_examples()["minimal"]
    for wrong in (
        {"experiment_id": "a..b"}, {"experiment_id": "a."}, {"experiment_id": "x" * 101}, {"priority": 101},
        {"schema_version": 2}, {"flags": {"data": {"source": "a"}, "tran": {}}}, {"flags": {"train": {"lr": 0}}},
        {"message_id": "sha256:a"}, {"message_id": "a\nb"}, {"message_id": ""},
        {"flags": {"tran.lr": 1}}, {"flags": {"data": {"source": "a", "split": "x"}}},
    ):  # fmt: skip
        assert not request.is_valid({**minimal, **wrong}), wrong
    for right in (
        {"experiment_id": "a"},
        {"experiment_id": "a.b"},
        {"flags": {"data.source": "a", "train.lr": 1}},
    ):
        assert request.is_valid({**minimal, **right}), right
    assert not result.is_valid({**result_examples()["failed"], "status": "DONE"})


@pytest.mark.parametrize("name", MODELS)
def test_every_document_has_an_example_that_its_schema_and_its_model_take(name):
    validator = jsonschema.Draft202012Validator(model_schema(name))
    validator.check_schema(validator.schema)
    found = {key: each.document() for key, each in examples().items() if key.split(".")[0] == name}
    found |= result_examples() if name == "result" else {}
    assert found, name
    for document in found.values():
        validator.validate(document)
        assert MODELS[name][1].model_validate(document).document() == document


@pytest.mark.parametrize("name", MODELS)
def test_every_field_of_every_document_is_described(name):
    schema = model_schema(name)
    for where, part in {"": schema, **schema.get("$defs", {})}.items():
        bare = [
            field
            for field, facts in part.get("properties", {}).items()
            if not {"description", "$ref"} & set(facts)
        ]
        assert bare == [], where


def example_of(name):
    """One document of that name."""
    if name == "result":
        return ResultMessage.model_validate(result_examples()["failed"])
    return next(document for key, document in examples().items() if key.split(".")[0] == name)


@pytest.mark.parametrize("name", MODELS)
def test_a_document_of_a_later_release_is_read(name):
    """A field more is not another version."""
    document = example_of(name)
    read = MODELS[name][1].model_validate({**document.document(), "later": {"a": 1}}).document()
    read.pop("later", None)
    assert read == document.document()


@pytest.mark.parametrize("name", MODELS)
def test_a_document_of_another_version_is_not_taken_for_one_of_this(name):
    model = MODELS[name][1]
    (version,) = {"schema_version", "format"} & set(model.model_fields) or {""}
    if version:
        with pytest.raises(ValidationError, match=version):
            model.model_validate({**example_of(name).document(), version: 2})
    else:  # a line of a journal has the version of the directory that it is in
        assert name in ("journal_event", "metric_line")
