"""A cell of any length takes time in proportion to it: a split file of one line held the node for hours."""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from proteinx_pipelines.errors import ProteinxError
from proteinx_pipelines.variant_files.fasta import read_fasta
from proteinx_pipelines.variant_files.forms import read_table
from proteinx_pipelines.variant_files.notation import LONGEST_MUTANT, NotRead, looks_like_mutant, read_mutant
from proteinx_pipelines.variant_files.understood import ReadingOptions

PIECES = ("A", "a.", "1.", "Ala", "A1C:", "-", "_", "(", ".1", "p.", "del", "1", " ", "\u00b5")
MOST_S = 60.0
"""Processor seconds; the pattern of before took an hour for a tenth of this length."""


def within(work: Callable[[], object]) -> None:
    """Do something, whatever it says of the text, in time."""
    began = time.process_time()
    with contextlib.suppress(ProteinxError, NotRead):
        work()
    assert time.process_time() - began < MOST_S


@pytest.mark.parametrize("piece", PIECES)
def test_a_cell_is_looked_at_in_time(piece: str) -> None:
    for length in (LONGEST_MUTANT - 10, 2_000_000):
        text = piece * (length // len(piece))
        within(lambda text=text: looks_like_mutant(text))
        within(lambda text=text: read_mutant(text, "ACDEF", 0))


@pytest.mark.parametrize("piece", ["A", "-", "1."])
@pytest.mark.parametrize("ending", ["csv", "fasta", "json"])
def test_a_file_of_one_line_is_refused_or_read_in_time(tmp_path: Path, piece: str, ending: str) -> None:
    path = tmp_path / f"wide.{ending}"
    path.write_text(
        (">" if ending == "fasta" else "") + piece * (1_000_000 // len(piece)) + "\n", encoding="utf-8"
    )
    within(lambda: read_table(path, ReadingOptions()))


def test_the_header_of_a_fasta_file_is_read_in_time(tmp_path: Path) -> None:
    within(lambda: read_fasta(tmp_path, ">" + "A" * 1_000_000 + "\nACD\n"))
