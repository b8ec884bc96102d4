"""Files of variants to predict: every row that is none is named by its line."""

from pathlib import Path

import pytest

from proteinx_pipelines.errors import BadVariants
from proteinx_pipelines.stages.design.given import read_file


def test_each_row_that_is_no_design_is_named_by_its_line(tmp_path: Path) -> None:
    """Lines were one too low, a deletion `puts in l`, a stop had no line, and a line with too few cells was dropped."""
    file = tmp_path / "library.csv"
    file.write_text(
        "# ordered\nName,Variant,Note\na,A101C,x\nb,C102*\nc,D103del,x\nd,D103K,x\ne,W103K,x\nf,,x\ng,,x\n"
    )
    with pytest.raises(BadVariants) as raised:
        read_file(file, "s", "ACDE", 100)
    text = str(raised.value)
    for said in (
        "line 4: ",
        "line 5: 'D103del' has an insertion",
        "line 7: 'W103K' is written against",
        "line 8: ",
    ):
        assert said in text
    assert "puts in l" not in text

    file.write_text("Name,Variant\na,a101c\nb,C102X\n")
    with pytest.raises(
        BadVariants, match=r"library\.csv has rows .* line 3: 'C102X' puts in X; one of ACDEF"
    ):
        read_file(file, "s", "ACDE", 100)
    file.write_text("Name,Variant\na,a101c\nb,Cys102Gly/D103E\n")
    assert read_file(file, "s", "ACDE", 100).mutants(100) == ["A101C", "C102G:D103E"]
