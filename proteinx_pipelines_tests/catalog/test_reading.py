"""What reading the catalog must not do to the process that reads."""

import gzip
import subprocess
import sys
from pathlib import Path

from proteinx_pipelines.catalog.importing import import_file

_READ_AND_FORK = """
import os, sys, pathlib, psutil
from proteinx_pipelines.catalog.reading import read_rows
from proteinx_pipelines.flags.parsing import parse_flags

flags = parse_flags({"data.source": "TOY"}).data
before = psutil.Process().memory_info().vms
found = read_rows(pathlib.Path(sys.argv[1]), flags)
grown = psutil.Process().memory_info().vms - before
assert found.rows.num_rows == 3
assert grown < 4 * 2**30, f"{grown:,} bytes of addresses for 3 rows"
"""


def test_reading_reserves_no_more_memory_than_the_rows_need(tmp_path: Path) -> None:
    """The driver once reserved 32 GB of addresses for a batch, and the step process could not fork after that."""
    with gzip.open(tmp_path / "TOY.csv.gz", "wt", encoding="utf-8") as stream:
        stream.write("mutant,DMS_score\nM1A,0.5\nK2R,1\nV3A,\n")
    import_file(tmp_path / "database.db", tmp_path / "TOY.csv.gz", template="MKV")
    command = [sys.executable, "-c", _READ_AND_FORK, str(tmp_path / "database.db")]
    subprocess.run(command, check=True, capture_output=True, text=True)
