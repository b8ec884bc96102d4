"""A stage of its own, as somebody would write one: how many of the measured variants have how many mutations.

It is made when `ext.tally` asks for it. Its row is `ROW`, its code is the rest.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from proteinx_pipelines.execution.stages import Computation, Inputs, StageContext
from proteinx_pipelines.experiment_dir.files import read_json, write_json
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.pipeline.stages import Stage

TALLY_VERSION = "1"
FILE = "artifacts/tally.json"


def count_variants(_context: StageContext, inputs: Inputs) -> Mapping[str, int]:
    """Number of mutations -> how many variants have it."""
    found = Counter(str(int(number)) for number in inputs["transform"].column("mut_num"))
    return dict(sorted(found.items()))


def save(record: Mapping[str, int], directory: ExperimentDir) -> list[str]:
    write_json(directory.path(FILE), dict(record))
    return [FILE]


def load(directory: ExperimentDir) -> Any:
    return read_json(directory.path(FILE))


ROW = Stage(
    "tally",
    "How many variants have how many mutations.",
    frozenset({"python"}),
    reads={"transform": "all", "evaluate": "all"},
    flag_groups=("ext",),
    asked_for_by="ext.tally",
)
CODE = Computation("tally", __name__, count_variants, codec=__name__)
