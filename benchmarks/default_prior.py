"""Make the prior that the package ships, and say how well it predicts proteins it has not seen.

    OMP_NUM_THREADS=1 python benchmarks/default_prior.py --data FOLDER --structures FOLDER [--out FILE]

Data: ProteinGym's supervised single substitutions (release 1.3, MIT licence), as for `proteinx bench proteingym`.
Structures: AlphaFold2 models of the whole templates of 59 of the assays (GitHub `ginnm/SingleSiteProteinGYM`, MIT
licence), each named like the assay or its beginning, as for `bench proteingym --structures`.
The file holds the weights of ridge regressions and of networks, and the name and the sequence of each protein, which
the check `related_source` needs; no measurement and no coordinate is in it. The same folders and version give the same
bytes on the same kind of processor, with one thread.
"""

import argparse
from pathlib import Path

import numpy as np

from proteinx_pipelines.bench.prior_assays import assays_of_folder
from proteinx_pipelines.stages.train.prior import write_prior
from proteinx_pipelines.stages.train.prior_learning import PENALTY, learn

OUT = Path(__file__).parents[1] / "proteinx_pipelines/stages/train/default_prior.safetensors"
FACTS = {
    "data": "ProteinGym 1.3, supervised single substitutions (Notin et al. 2023)",
    "structures": "AlphaFold2 models of ginnm/SingleSiteProteinGYM, MIT", "licence": "MIT", "penalty": PENALTY,
}  # fmt: skip


def main() -> None:
    """Learn, write, print the Spearman of every assay without its family."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--structures", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    found = learn(assays_of_folder(options.data, structures=options.structures), facts=FACTS)
    write_prior(found.prior, options.out)
    values = np.array(list(found.spearman.values()))
    print(f"{len(values)} assays, {len(found.prior.weights) - 1} groups")
    print(f"Spearman without the own group: {values.mean():.3f}")
    by_structure = found.spearman_by_structure
    same = np.mean([found.spearman[name] for name in by_structure])
    print(
        f"by structure ({len(by_structure)}): {np.mean(list(by_structure.values())):.3f}, by sequence {same:.3f}"
    )
    own = np.array(["Tsuboyama" in name for name in found.spearman])
    print(f"stability ({own.sum()}): {values[own].mean():.3f}, others: {values[~own].mean():.3f}")


if __name__ == "__main__":
    main()
