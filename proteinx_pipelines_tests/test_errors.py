"""However long what an error names is, its text has an end."""

import inspect
import re

import pytest

from proteinx_pipelines import errors
from proteinx_pipelines.bounds import LONGEST_TEXT, bounded, bounded_document
from proteinx_pipelines.errors import CatalogError, FlagError, MessageError, ProteinxError

LONG = "A" * 11_000_000
PLAIN = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, ProteinxError) and kind.__init__ in (ProteinxError.__init__, CatalogError.__init__)
]


@pytest.mark.parametrize("kind", PLAIN)
def test_an_error_of_millions_of_characters_is_cut(kind: type[ProteinxError]) -> None:
    """A one-line CSV put its header into an error text of 10.9 million characters, and that into `state.db`."""
    text = str(kind(f"begins {LONG} ends"))
    assert len(text) < LONGEST_TEXT + 100
    assert text.startswith("begins")
    assert text.endswith("ends")


def test_the_tree_at_the_top_names_every_error_of_the_module_and_its_code() -> None:
    """Once, it lacked the refused round."""
    named = set(re.findall(r"── (\w+)", str(errors.__doc__)))
    kinds = {
        kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, ProteinxError)
    }
    assert named == {kind.__name__ for kind in kinds if kind is not ProteinxError}
    codes = {kind.code for kind in kinds if kind.__subclasses__() == [] and "code" in vars(kind)}
    assert {code for code in codes if f"`{code}`" not in str(errors.__doc__)} <= {"internal"}


def test_so_are_lists_of_problems() -> None:
    for error in (
        FlagError([LONG, "b"]),
        MessageError("bad_flags", [LONG, "b"]),
        CatalogError("x", [LONG, "b"]),
    ):
        assert len(str(error)) < LONGEST_TEXT + 100
        assert sum(map(len, error.problems)) < 12_000_000


def test_without_the_bound_it_would_be_as_long() -> None:
    assert len(str(Exception(LONG))) == len(LONG)


def test_a_text_keeps_its_beginning_and_more_of_its_end() -> None:
    cut = bounded("a" * 100 + "b" * 1000 + "c" * 300, 400)
    assert cut.startswith("a" * 100)
    assert cut.endswith("c" * 300)
    assert "1,000 characters left out" in cut
    assert bounded("short") == "short"


def test_a_document_is_cut_in_every_direction() -> None:
    deep: list[object] = []
    for _ in range(500):
        deep = [deep]
    document = {
        "n" * 100: ["x" * 100] * 50,
        "many": dict.fromkeys(map(str, range(50)), 1),
        "deep": deep,
        "n": 1,
    }
    found = bounded_document(document, text=20, entries=10)
    (name,) = (key for key in found if key.startswith("nnn"))
    assert len(name) < 60
    assert len(found[name]) == 11
    assert len(found["many"]) == 11
    assert str(found["deep"]).count("[") < 70
    assert found["n"] == 1
