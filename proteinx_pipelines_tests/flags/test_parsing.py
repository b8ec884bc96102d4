import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import JSON, TEXTS, dotted_documents

from proteinx_pipelines import metrics
from proteinx_pipelines.errors import FlagError
from proteinx_pipelines.flags.nesting import expand
from proteinx_pipelines.flags.parsing import parse_file, parse_flags, parse_pairs, to_dotted, to_pairs
from proteinx_pipelines.flags.repeated_keys import may_repeat_keys, repeated_keys
from proteinx_pipelines.flags.schema import known_flags
from proteinx_pipelines.pipeline.stages import named_paths
from proteinx_pipelines.stages.known_names import known_here

SOURCE = {"data.source": "GB1"}


def problems_of(document, overrides=()) -> list[str]:
    with pytest.raises(FlagError) as caught:
        parse_flags(document, overrides, known=known_here())
    return list(caught.value.problems)


def problem_of(document) -> str:
    (problem,) = problems_of(document)
    return problem


def spelled(flags) -> str:
    """The tree as text: 1, 1.0 and true are equal in Python and different here."""
    return json.dumps(flags.nested(), sort_keys=True)


@pytest.mark.parametrize(
    "document",
    [
        {"data": {"source": "GB1"}, "train": {"lr": 1e-3, "batch_size": 8}},
        {"data.source": "GB1", "train.lr": 1e-3, "train.batch_size": 8},
        {"data": {"source": "GB1"}, "train.lr": 1e-3, "train": {"batch_size": 8}},
        '{"data": {"source": "GB1"}, "train": {"lr": 0.001, "batch_size": 8}}',
        b'\n {"data.source": ["GB1"], "train.lr": 0.001, "train.batch_size": 8}',
        "data.source=GB1\ntrain.lr=0.001\r\ntrain.batch_size = 8\n",
        '# one flag a line\n\n  data.source = "GB1"  # quoted\ntrain.lr=1e-3 # fast\ntrain.batch_size=8',
    ],
)
def test_every_spelling_is_the_same_tree(document):
    assert spelled(parse_flags(document)) == spelled(
        parse_flags({**SOURCE, "train.lr": 0.001, "train.batch_size": 8})
    )


@settings(max_examples=60)
@given(dotted_documents())
def test_what_is_printed_parses_back_to_the_same_tree(document):
    flags = parse_flags(document)
    forms = [
        flags.nested(), json.dumps(flags.nested()), to_dotted(flags), json.dumps(to_dotted(flags)),
        "\n".join(to_pairs(flags)), expand(document)[0],
    ]  # fmt: skip
    assert {spelled(parse_flags(form)) for form in forms} == {spelled(flags)}
    assert spelled(parse_pairs(to_pairs(flags))) == spelled(flags)
    assert parse_flags(to_dotted(flags)) == flags


def test_all_problems_come_at_once_in_the_order_of_the_groups():
    problems = problems_of(
        {
            "train": {"lr": -1, "learnin_rate": 0.1, "batch_size": "8"},
            "data.where": [{"column": "sequence", "op": "=", "value": 1}],
            "trainer.max_epochs": 3, "trainer.devices": "all", "evaluate.metrics": ["spearmann"],
            "split": {"method": "file", "fractions": [0.5, 0.6, 0.1], "folds": 1},
        }
    )  # fmt: skip
    assert problems == [
        "`data.source`: missing, expected a non-empty text, or a non-empty list of non-empty texts.",
        (
            '`data.where[0].column`: found "sequence", expected one of `id`, `mutant`, `DMS_score`, '
            "`DMS_score_bin`, `mut_num`, `source`, `source_text`."
        ),
        "`split.folds`: found 1, expected a whole number of at least 2 and at most 1000, or null.",
        "`split.fractions`: found [0.5, 0.6, 0.1], expected three numbers of at least 0 that sum to 1.",
        "`split.path`: missing; `split.method` 'file' needs it.",
        "`split.column`: missing; `split.method` 'file' needs it.",
        "`train.lr`: found -1, expected a number greater than 0 and at most 1e+30.",
        '`train.batch_size`: found "8", expected a whole number of at least 1 and at most 1048576.',
        "`train.learnin_rate`: unknown flag; did you mean `train.lr`?",
        "`trainer.max_epochs`: is written `train.max_epochs` here; move it there.",
        (
            '`trainer.devices`: found "all", expected a whole number of at least -1 and at most 256, or a text '
            "like '0,1', or a non-empty list of whole numbers of at least 0 and at most 255."
        ),
        "`evaluate.metrics`: unknown metric 'spearmann' (did you mean 'spearman'?); the metrics are "
        + ", ".join(metrics.names())
        + ".",
    ]


@pytest.mark.parametrize(
    ("flag", "value", "found"),
    [
        ("train.lr", "fast", '"fast"'),
        ("train.lr", "0.1", '"0.1"'),
        ("train.lr", True, "true"),
        ("train.lr", None, "null"),
        ("train.lr", [0.1], "[0.1]"),
        ("train.batch_size", 8.0, "8.0"),
        ("train.batch_size", True, "true"),
        ("run.resume", 1, "1"),
        ("run.resume", "true", '"true"'),
        ("model.name", 5, "5"),
        ("model.hidden_dims", 128, "128"),
        ("data.source", 5, "5"),
        ("data.mut_num", 2, "2"),
        ("data", "GB1", '"GB1"'),
        ("train", None, "null"),
        ("ext", [1], "[1]"),
        ("trainer.devices", 1.0, "1.0"),
        ("trainer.num_nodes", True, "true"),
    ],
)
def test_types_are_strict(flag, value, found):
    document = {**({} if flag in ("data", "data.source") else SOURCE), flag: value}
    assert problem_of(document).startswith(f"`{flag}`: found {found}, expected ")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("flag", ["train.lr", "trainer.gradient_clip_val", "ext.x"])
def test_numbers_that_json_does_not_have_are_refused(flag, value):
    for document in ({**SOURCE, flag: value}, json.dumps({**SOURCE, flag: value})):
        assert "expected a finite number" in problem_of(document)
    assert "expected a finite number" in problem_of(f"data.source=GB1\n{flag}={json.dumps(value)}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"data.source": "a", "train": {"lr": 1, "lr": 1}}', "`train.lr`: written twice in one object"),
        ('{"data.source": "a", "data.source": "a"}', "`data.source`: written twice in one object"),
        (
            '{"data.source": "a", "ext": {"x": [{"y": 1, "y": 2}]}}',
            "`ext.x[0].y`: written twice in one object",
        ),
        (
            '{"data.source": "a", "train.lr": 1, "train": {"lr": 2}}',
            "`train.lr`: written twice, as 1 and as 2",
        ),
        ('{"data.source": "a", "train.lr": 1, "train": {"lr": 1}}', "`train.lr`: written twice"),
        (
            '{"data.source": "a", "train": 1, "train.lr": 2}',
            "`train`: written twice, as 1 and as flags below it",
        ),
        (
            '{"data": {"source": "a", "split": "modulo"}, "split": {"method": "random"}}',
            "`split.method`: written twice",
        ),
        ("data.source=a\ntrain.lr=1\ntrain.lr=1", "`train.lr`: written twice, the second time in line 3"),
    ],
)
def test_a_flag_is_written_once(text, said):
    assert problem_of(text).startswith(said)


@pytest.mark.parametrize(
    "spelling",
    [
        {"data": {"split": "modulo"}},
        {"data.split": "modulo"},
        {"data": {"split": {"method": "modulo"}}},
        {"data.split.method": "modulo"},
        {"split": {"method": "modulo"}},
    ],
)
def test_data_split_is_the_split_group(spelling):
    flags = parse_flags({"data.source": "GB1", "split.seed": 3, **spelling})
    assert (flags.split.method, flags.split.seed) == ("modulo", 3)


def test_data_split_is_checked_like_the_split_group():
    assert problem_of({**SOURCE, "data.split": "modullo"}).startswith(
        '`split.method`: found "modullo", expected'
    )
    assert (
        problem_of({**SOURCE, "data.split": {"sed": 1}})
        == "`split.sed`: unknown flag; did you mean `split.seed`?"
    )


def test_ext_is_carried_through_untouched():
    ext = {"a.b": {"c.d": [1, 1.0, None]}, "": {}, "train.lr": "x"}
    assert parse_flags({**SOURCE, "ext": ext}).ext == ext
    assert parse_flags({**SOURCE, "ext.project": "p", "ext": {"a.b": 1}}).ext == {"project": "p", "a.b": 1}


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("", "`data.source`: missing"),
        ("[1]", "Found [1], expected an object of flags."),
        ('"data.source=a"', 'Found "data.source=a", expected an object of flags.'),
        ("{", "Not JSON: "),
        ('{"data.source": "a"} x', "Not JSON: Extra data at line 1, column 22."),
        ("[" * 100_000, "Objects and lists are nested more than 64 deep."),
        (
            '{"data.source":"a","ext":' + '{"x":' * 70 + "1" + "}" * 71,
            "`ext.x.x`: objects and lists are nested more",
        ),
        ({**SOURCE, ".".join("a" * 200): 1}, "`a.a.a`: a name has at most 64 parts."),
        (
            '{"data.source": "a", "train.max_epochs": 1' + "0" * 5000 + "}",
            "`train.max_epochs`: found a whole number of",
        ),
        (
            '{"data.source": "a", "data.limit": 9223372036854775808}',
            "`data.limit`: found a whole number beyond 64 bits",
        ),
        ('{"data.source": "a", "train.lr": 1e999}', "`train.lr`: found Infinity"),
        ('{"data.source": "a\\u0000"}', "`data.source`: contains the character NUL"),
        ('{"data.source": "\\ud800"}', "`data.source`: contains half of a surrogate pair"),
        ('{"data.source": "a", "\\ud800": 1}', "`\\ud800`: contains half of a surrogate pair"),
        (b"\xff\xfe", "Byte 0 is not UTF-8."),
        ("data.source=a\nfoo", 'Line 2: found "foo", expected name=value.'),
        ("data.source=a\n=3", 'Line 2: found "=3", expected name=value.'),
        ({**SOURCE, "train..lr": 1}, "`train..lr`: unknown flag; did you mean `train.lr`?"),
        ({**SOURCE, "": 1}, "``: unknown flag"),
        ({**SOURCE, 5: 1}, "`5`: a name must be a text."),
        ({**SOURCE, "ext.x": {1}}, "`ext.x`: found a Python set, expected a JSON value."),
    ],
)
def test_what_cannot_be_read_is_a_problem_with_a_name(document, said):
    assert problem_of(document).startswith(said)


def test_a_refused_value_is_not_missing_as_well():
    assert problems_of('{"data": {"source": NaN}}') == ["`data.source`: found NaN, expected a finite number."]
    text = '{"data.source": "a", "data.where": [{"column": "mutant", "op": "=", "value": "\\u0000"}]}'
    assert problems_of(text) == ["`data.where[0].value`: contains the character NUL; take it out."]


def test_a_flood_of_problems_is_cut():
    problems = problems_of({**SOURCE, **{f"x{number}": 1 for number in range(300)}})
    assert len(problems) == 51
    assert problems[-1] == "There are more problems; fix these first."
    assert len(problem_of({**SOURCE, "y" * 100_000: "z" * 100_000})) < 300


def test_overrides_win_over_the_file_in_any_spelling(tmp_path):
    path = tmp_path / "flags.json"
    path.write_bytes(
        b'\xef\xbb\xbf{"data": {"source": "GB1", "split": "modulo"}, "train": {"lr": 1, "seed": 2}}'
    )
    flags = parse_file(path, ["train.lr=0.5", "split.method=contiguous"])
    assert (flags.train.lr, flags.train.seed, flags.split.method) == (0.5, 2, "contiguous")
    assert problems_of({**SOURCE, "train.lr": 1}, ["train.lr=x"]) == [
        '`train.lr`: found "x", expected a number greater than 0 and at most 1e+30.'
    ]


def test_a_missing_file_is_a_problem_with_its_path(tmp_path):
    with pytest.raises(FlagError, match=r"nothing.json cannot be read: No such file"):
        parse_file(tmp_path / "nothing.json")


def test_parsing_imports_neither_lightning_nor_torch():
    code = (
        "import sys; from proteinx_pipelines.flags.parsing import parse_pairs;"
        "parse_pairs(['data.source=a', 'trainer.precision=bf16-mixed', 'evaluate.metrics=[\"mse\"]']);"
        "print([name for name in ('torch', 'lightning', 'esm', 'scipy', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def _of_texts(schema) -> bool:
    return schema.get("type") == "array" and schema["items"].get("type") == "string"


@pytest.mark.parametrize(
    "flag", [flag for flag in known_flags() if _of_texts(flag.schema)], ids=lambda flag: flag.dotted
)
def test_a_list_of_names_may_be_one_name_without_brackets(flag):
    """The pages write `embedding.also=structure` and `run.track=mlflow`, and both were refused."""
    items = flag.schema["items"]
    name = (items.get("enum") or items.get("examples") or ["spearman"])[0]

    def outcome(value):
        try:
            return parse_flags({**SOURCE, flag.dotted: value})
        except FlagError as error:
            return error.problems

    assert outcome(name) == outcome([name])


@pytest.mark.parametrize("text", ["V39L,D40G", " V39L , D40G", '["V39L", "D40G"]'])
def test_names_may_be_written_with_commas(text):
    flags = parse_flags(SOURCE, [f"design.must_not={text}", "design.fixed=41", f"design.exclude={text}"])
    assert flags.design.must_not == flags.design.exclude == ("V39L", "D40G")
    assert flags.design.fixed == (41,)
    several = ["evaluate.metrics=spearman,mae", "embedding.also=scales,substitution"]
    assert parse_flags(SOURCE, several, known=known_here()).evaluate.metrics == ("spearman", "mae")
    (said,) = problems_of(SOURCE, ["evaluate.metrics=spearman,maee"])
    assert "unknown metric 'maee'" in said
    with pytest.raises(FlagError, match=r"must_have`: found 100 entries, expected at most 20"):
        parse_flags(SOURCE, [f"design.must_have={','.join(['V39L'] * 100)}"])
    with pytest.raises(FlagError, match=r"must_have\[1\]"):
        parse_flags(SOURCE, ["design.must_have=V39L,"])


@pytest.mark.parametrize("position", ["--5", "5a", "²", ""])
def test_a_position_of_a_rule_is_a_number(position):
    """`--5` passed, and the stage ended with a traceback."""
    with pytest.raises(FlagError, match=r"design\.allowed`: found the position"):
        parse_flags({**SOURCE, "design.allowed": {position: "A"}})


@pytest.mark.parametrize("text", ["39,40,41,54", " 39 , 40,41, 54", "[39,40,41,54]"])
def test_positions_may_be_written_with_commas_as_the_help_shows_them(text):
    flags = parse_flags({"data.source": "x"}, [f"design.positions={text}"])
    assert flags.design.positions == (39, 40, 41, 54)


def test_other_texts_are_no_positions():
    for text in ("39,", "a,b", "39;40", "3.5"):
        with pytest.raises(FlagError, match="positions"):
            parse_flags({"data.source": "x"}, [f"design.positions={text}"])


def test_a_file_of_variants_or_several_are_read_and_one_is_written_as_before() -> None:
    """Keys and documents of designs from one file stay as they are."""

    def path_of(written: object) -> tuple[object, object]:
        flags = parse_flags({"data.source": "x", "design.library": "file", "design.path": written})
        return flags.design.path, flags.nested()["design"]["path"]

    assert path_of("a.csv") == path_of(["a.csv"]) == (("a.csv",), "a.csv")
    assert path_of(["a.csv", "b.csv"]) == (("a.csv", "b.csv"), ["a.csv", "b.csv"])
    assert parse_flags({"data.source": "x"}).nested()["design"]["path"] is None
    typed = parse_flags({"data.source": "x"}, ["design.library=file", 'design.path=["a.csv", "b.csv"]'])
    assert typed.design.path == ("a.csv", "b.csv")
    assert named_paths(typed) == {"design.path[0]": "a.csv", "design.path[1]": "b.csv"}
    for wrong in ([], "", [""], [1], ["a"] * 101):
        with pytest.raises(FlagError, match="design"):
            path_of(wrong)
    with pytest.raises(FlagError, match="`path` is given and `library` is 'singles'"):
        parse_flags({"data.source": "x", "design.library": "singles", "design.path": ["a.csv", "b.csv"]})


@settings(max_examples=200)
@given(JSON, TEXTS, JSON, st.booleans())
def test_a_repeated_key_is_found_by_counting_alone_whatever_stands_around_it(around, key, value, is_repeated):
    pair = f"{json.dumps(key)}: {json.dumps(value)}"
    text = f'[{json.dumps(around)}, {{"n": {{{pair}{f", {pair}" if is_repeated else ""}}}}}]'
    found = [problem.path for problem in repeated_keys(text)]
    assert found == ([(1, "n", key)] if is_repeated else [])
    assert may_repeat_keys(text.encode(), json.loads(text)) or not is_repeated
    if ":" not in json.dumps([around, key, value], separators=(",", "=")):  # in no text
        assert may_repeat_keys(text.encode(), json.loads(text)) is is_repeated
