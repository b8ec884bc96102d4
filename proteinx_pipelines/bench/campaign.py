"""Published protocols of simulated campaigns, run on the same measurements with this project's rule.

| protocol | first plate | then | landscapes | published beside it |
|---|---|---|---|---|
| `alde` | 96 at random | 4 x 96 | GB1, four sites | ALDE's table: 48 rules and chance |
| `few-shot` | 16 at random | 10 x 16 | seven assays of single mutants | no table per assay |
| `singles` | single mutants | 2 x 96 multiple mutants | assays with both | none |

Source:
    jsunn-y/ALDE at 89a6855: `execute_simulation.py`, `analysis/all_results.csv`. Measurements: Wu et al. 2016,
    doi:10.7554/eLife.16965. mat10d/EvolvePro at 1c77697: `scripts/dms/esm2_15B.sh`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from proteinx_pipelines.bench.assays import assay_files, choose, read_assay
from proteinx_pipelines.campaign.defaults import with_defaults
from proteinx_pipelines.campaign.landscape import Landscape, landscape_of
from proteinx_pipelines.campaign.runs import Progress
from proteinx_pipelines.campaign.simulation import Asked, Simulation, simulate_on
from proteinx_pipelines.campaign.summary import exact_random
from proteinx_pipelines.errors import FlagError
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.mutants import WILD_TYPE
from proteinx_pipelines.records import Selection
from proteinx_pipelines.spreading import Spread

GB1 = "SPG1_STRSG_Wu_2016"
GB1_WILD_TYPE = 1.0
"""Fitness of GB1's wild type: the unit of the measurements, left out of ProteinGym's rows."""
TOLERANCE = 0.02
STARTS = 70
_RANDOM_DIFFERENT = 384
"""Different variants in ALDE's random row at 480: its 384 further draws begin with the seed of the first 96."""
WHERE_TO_GET = (
    "A folder of assays in ProteinGym's form is expected, such as `SPG1_STRSG_Wu_2016.csv.gz` for `alde` "
    "(proteingym.org, Download, substitutions)."
)


@dataclass(frozen=True)
class Published:
    """One row of the published table."""

    encoding: str
    model: str
    acquisition: str
    mean: tuple[float, ...]
    """Best found / maximum after 96, 192, 288, 384 and 480 measurements, mean over 70 starts."""
    se: tuple[float, ...]

    @property
    def is_random(self) -> bool:
        """True for the row without a model."""
        return self.acquisition == "random"


@dataclass(frozen=True)
class Protocol:
    """A published protocol."""

    name: str
    asked: Asked
    assays: tuple[str, ...]
    note: str


PROTOCOLS: Mapping[str, Protocol] = {
    found.name: found
    for found in (
        Protocol("alde", Asked(96, 4, 96, STARTS), (GB1,), "ALDE's: 96 random variants, then 4 plates of 96"),
        Protocol(
            "few-shot", Asked(16, 10, 16, 10),
            ("MK01_HUMAN_Brenan_2016", "BLAT_ECOLX_Stiffler_2015", "A0A2Z5U3Z0_9INFA_Doud_2016",
             "A0A192B1T2_9HIV1_Haddox_2018", "P53_HUMAN_Giacomelli_2018_Null_Etoposide", "ADRB2_HUMAN_Jones_2020",
             "IF1_ECOLI_Kelsic_2016"),
            "EVOLVEpro's few-shot: 16 random single mutants, then 10 plates of 16",
        ),
        Protocol(
            "singles", Asked(96, 2, 96, 20, start_from="singles"),
            (GB1, "TADBP_HUMAN_Bolognesi_2019_doubles", "A4_HUMAN_Seuma_2021", "GFP_AEQVI_Sarkisyan_2016_aa"),
            "single mutants first, then 2 plates of 96 multiple mutants",
        ),
    )
}  # fmt: skip


@dataclass(frozen=True)
class RandomCheck:
    """ALDE's random row against exact expectations on the measured cells."""

    cells: int
    published: float
    published_se: float
    exact_480: float
    """Expected best of 480 different variants."""
    exact_384: float
    """Expected best of the 384 different variants that their row has."""

    @property
    def is_explained(self) -> bool:
        """True if their value is within 2 standard errors of the expectation for 384 different variants."""
        return abs(self.published - self.exact_384) <= 2 * self.published_se

    def document(self) -> dict[str, Any]:
        """Plain JSON."""
        return {**asdict(self), "is_explained": self.is_explained}


def published_table() -> list[Published]:
    """ALDE's table of GB1, the highest at the end first."""
    document = json.loads(files("proteinx_pipelines.bench").joinpath("alde_gb1.json").read_text("utf-8"))
    rows = [
        Published(row["encoding"], row["model"], row["acquisition"], tuple(row["mean"]), tuple(row["se"]))
        for row in document["rows"]
    ]
    return sorted(rows, key=lambda row: -row.mean[-1])


def read_landscape(name: str, file: Path, pairs: Sequence[str]) -> Landscape:
    """Read an assay as a landscape; GB1's four sites get their wild type, as in the published domain.

    Raises:
        CatalogError: the file has other columns. FlagError: a flag is unknown.
    """
    flags = with_defaults(parse_flags({"data": {"source": name}}, list(pairs)))
    selection = read_assay(name, file)
    if name == GB1 and WILD_TYPE not in selection.rows.column("mutant").to_pylist()[:1]:
        selection = _with_wild_type(selection)
    return landscape_of(selection, flags)


def _with_wild_type(selection: Selection) -> Selection:
    (name,) = selection.templates
    row = {
        "source": [name], "mutant": [WILD_TYPE], "DMS_score": [GB1_WILD_TYPE], "DMS_score_bin": [None], "mut_num": [0]
    }  # fmt: skip
    first = pa.table(
        {key: pa.array(value, selection.rows.schema.field(key).type) for key, value in row.items()}
    )
    return replace(selection, rows=pa.concat_tables([first, selection.rows]))


def run(
    landscape: Landscape,
    protocol: Protocol,
    pairs: Sequence[str],
    *,
    folder: Path,
    seeds: int | None = None,
    processes: int | None = None,
    progress: Progress = lambda _done, _all: None,
    spread: Spread | None = None,
) -> Simulation:
    """Run one protocol on one landscape.

    Args:
        landscape: of `read_landscape`.
        protocol: of `PROTOCOLS`.
        pairs: flags of the rule as `name=value`; the default rule where they are silent.
        folder: keeps finished campaigns.
        seeds: campaigns of each rule; the protocol's when None.
        processes: number of processes; that of the processor cores when None.
        progress: called after each campaign.
        spread: workers of a cluster, instead of processes of this machine.

    Raises:
        FlagError: the landscape is too small for the protocol.
    """
    flags = with_defaults(parse_flags({"data": {"source": landscape.name}}, list(pairs)))
    asked = replace(protocol.asked, seeds=seeds or protocol.asked.seeds)
    if asked.start_from == "singles":
        there = int((landscape.candidates.counts <= 1).sum())
        if there < 2:
            raise FlagError(
                [f"{landscape.name} has {there} single mutants; the protocol `singles` starts from them."]
            )
        asked = replace(asked, start=min(asked.start, there))
    return simulate_on(
        landscape, flags, asked, folder=folder, processes=processes, progress=progress, spread=spread
    )


def check_random(landscape: Landscape) -> RandomCheck:
    """Explain the published random row."""
    row = next(row for row in published_table() if row.is_random)
    return RandomCheck(
        landscape.n,
        row.mean[-1],
        row.se[-1],
        exact_random(landscape, 480),
        exact_random(landscape, _RANDOM_DIFFERENT),
    )


def find_assays(data: Path, names: Sequence[str]) -> dict[str, Path]:
    """Files of assays; where none is named in `names` by the user, those of a protocol that the folder has.

    Raises:
        MissingFile: the folder has no assays, or not one of these.
    """
    return choose(assay_files(data), names)


def is_below(found: Simulation, best: Published) -> bool:
    """True if the rule ends more than `TOLERANCE` below the best published rule."""
    return bool(
        not np.isfinite(found.curves[0].final.best) or found.curves[0].final.best < best.mean[-1] - TOLERANCE
    )
