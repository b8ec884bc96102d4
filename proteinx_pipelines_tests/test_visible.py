"""Nothing that a terminal or a spreadsheet would obey comes from other people's names."""

import csv
import io
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proteinx_pipelines.csv_cells import safe_cell, safe_table
from proteinx_pipelines.visible import VisibleStream, one_line, visible

HOSTILE = "\x1b[2J\x1b]0;title\x07\x9b31m\r\x08\u202egnp.exe\u200b"
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@given(st.text())
def test_no_text_has_anything_that_a_terminal_obeys(text: str) -> None:
    assert not OBEYED.search(visible(text))
    assert not OBEYED.search(one_line(text))
    assert "\n" not in one_line(text)
    assert len(one_line(text)) <= 10 * 500 + 1


@given(st.text(st.characters(categories=("L", "N", "P", "S", "Zs"))))
def test_what_is_seen_anyway_stays(text: str) -> None:
    assert visible(text) == text


def test_a_stream_writes_what_is_seen_and_its_raw_one_draws() -> None:
    inner = io.StringIO()
    print(HOSTILE, file=VisibleStream(inner))
    assert not OBEYED.search(inner.getvalue())
    assert "\\u001b[2J" in inner.getvalue()


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "=\n"])
def test_a_cell_that_begins_like_a_formula_is_a_text(begin: str) -> None:
    cell = f"{begin}HYPERLINK(1)"
    assert safe_cell(cell) == f"'{cell}"
    table = safe_table(pa.table({"a": [cell, "plain", None], cell: [-1, 2, 3]}))
    assert table.column("a").to_pylist() == [f"'{cell}", "plain", None]
    assert table.column_names == ["a", f"'{cell}"], "the name of a column is a cell of the file as well"
    assert table.column(1).to_pylist() == [-1, 2, 3]


@pytest.mark.parametrize("cell", ["-1.5", "+3", "1e-5", "-", "A24C", "", 5, -2.5, None, "-1e-300", "x=1"])
def test_numbers_and_words_stay(cell: object) -> None:
    assert safe_cell(cell) == cell


def test_every_place_that_writes_csv_for_people_makes_its_cells_safe(repository: Path) -> None:
    """`bench.leakage` and `bench.flip_gb1` write files that they read back themselves."""
    writes = re.compile(r"csv\.writer\(|DictWriter\(|write_csv\(|\.to_csv\(|\.to_excel\(")
    found = {
        path.relative_to(repository / "proteinx_pipelines").as_posix(): path.read_text(encoding="utf-8")
        for path in (repository / "proteinx_pipelines").rglob("*.py")
        if writes.search(path.read_text(encoding="utf-8"))
    }
    assert len(found) >= 5
    assert "catalog/exporting.py" in found, "`db export` wrote the names of columns as they came"
    unsafe = [name for name, text in found.items() if "safe_cell(" not in text and "safe_cell," not in text
              and "safe_table(" not in text]  # fmt: skip
    assert sorted(unsafe) == ["bench/flip_gb1.py", "bench/leakage.py"]
    assert not [name for name, text in found.items() if "DictWriter(" in text], "it writes names as they come"


def test_every_script_that_saves_csv_makes_its_cells_safe(repository: Path) -> None:
    """Pictures of a report saved names of sources and models as they came; tables did not."""
    scripts = [*(repository / "proteinx_pipelines").rglob("*.js")]
    joined = [path.name for path in scripts if '.join(",")).join("\\n")' in path.read_text(encoding="utf-8")]
    assert joined == ["csv.js"]
    saved = [path for path in scripts if "text/csv" in path.read_text(encoding="utf-8")]
    assert {path.name for path in saved} == {"page.js", "table.js"}


@pytest.mark.slow
def test_a_script_marks_what_a_spreadsheet_would_run(browser: Any, repository: Path) -> None:
    script = (repository / "proteinx_pipelines/pages/assets/csv.js").read_text(encoding="utf-8")
    page = browser.new_page()
    rows = [
        ["=x", "@a,b", "\n=1", "-5", -5, "1e5", "A2C", None],
        ["+", "=\n1", "\uff1d1", "-a", 0.5, "", 'a"b', "-"],
    ]
    written = page.evaluate(f"rows => {{ {script.replace('export ', '')}; return csvLines(rows); }}", rows)
    page.close()
    read = list(csv.reader(io.StringIO(written, newline="")))
    assert read == [
        ["'=x", "'@a,b", "'\n=1", "-5", "-5", "1e5", "A2C", ""],
        ["+", "'=\n1", "'\uff1d1", "'-a", "0.5", "", 'a"b', "-"]
    ]  # fmt: skip


def test_a_written_table_is_read_back_with_its_mark() -> None:
    buffer = pa.BufferOutputStream()
    pyarrow.csv.write_csv(safe_table(pa.table({"source": ["=cmd|' /C calc'!A0"]})), buffer)
    (row,) = csv.DictReader(io.StringIO(buffer.getvalue().to_pybytes().decode()))
    assert row["source"].startswith("'=")
