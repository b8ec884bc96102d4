"""Arrays of a file come in one order, whoever reads them."""

import re
from pathlib import Path

import numpy as np
from safetensors.numpy import save

import proteinx_pipelines
from proteinx_pipelines.experiment_dir.arrays import read_arrays

PACKAGE = Path(proteinx_pipelines.__file__).parent


def test_arrays_come_in_the_order_of_their_names() -> None:
    """Incident: a model read its protein's length from the first array, which was another one at each reading."""
    names = [f"array_{number}" for number in (7, 3, 9, 1, 5, 8, 2, 6, 4, 0)]
    content = save({name: np.full(3, place) for place, name in enumerate(names)})
    for _ in range(20):
        found = read_arrays(content)
        assert list(found) == sorted(names)
    assert [int(found[name][0]) for name in names] == list(range(10))


def test_nobody_else_reads_arrays_in_the_librarys_order() -> None:
    door = PACKAGE / "experiment_dir" / "arrays.py"
    pattern = re.compile(
        r"from safetensors\.\w+ import [^\n#]*\bload\b|safetensors\.deserialize|safetensors\.\w+\.load\b"
    )
    found = [path for path in PACKAGE.rglob("*.py") if pattern.search(path.read_text(encoding="utf-8"))]
    assert found == [door]
