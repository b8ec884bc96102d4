"""Assays of a folder, with the structures of their proteins, as a prior is learned from."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from proteinx_pipelines.bench.assays import assay_files, choose, read_assay
from proteinx_pipelines.bench.evidence_files import sites_of_assays
from proteinx_pipelines.stages.train.prior_learning import Assay, assay_of


def assays_of_folder(data: Path, names: Sequence[str] = (), structures: Path | None = None) -> list[Assay]:
    """Read assays.

    Args:
        data: a folder, as for `proteinx bench proteingym`.
        names: of the assays; all if empty.
        structures: a folder of structures, as for `bench proteingym --structures`; none if None.

    Raises:
        MissingFile: a folder has nothing to read. BadEvidence: a structure cannot be read.
    """
    files = assay_files(data)
    found = []
    for name, file in (choose(files, names) if names else files).items():
        selection = read_assay(name, file)
        scores = selection.rows.column("DMS_score").to_numpy(zero_copy_only=False).astype(np.float64)
        mutants = selection.rows.column("mutant").to_pylist()
        found.append(assay_of(name, selection.templates[name], mutants, scores))
    if structures is None:
        return found
    sites = sites_of_assays(structures, {assay.name: assay.template for assay in found})
    return [replace(assay, sites=sites.get(assay.name)) for assay in found]
