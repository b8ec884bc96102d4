"""What bf16 costs in accuracy: ESM-2 t6 with real weights on three measured proteins, ridge behind it.

The same variants are embedded in fp32 and in bf16. Each gets the same ridge (columns standardised, penalty chosen
once for fp32) on the same five folds, shuffled anew `--shuffles` times; the difference of the two out-of-fold
Spearman correlations is the figure. Beside it the noise: the deviation of (bf16 - fp32) over variants, divided by the
deviation between variants, column by column. Nothing is timed.

    python benchmarks/embedding_precision.py --assays GB1_Nisthal_2019
"""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
from measure import Figure, Goal, Spread, arguments_of, report

from proteinx_pipelines.metrics import spearman
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.stages.embedding.esm2_engine import Esm2Engine
from proteinx_pipelines.stages.embedding.esm2_weights import read_weights
from proteinx_pipelines.stages.embedding.stream import Library, embed_library

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
WEIGHTS = DATA / "weights" / "esm2_t6_8M_finetuned.pt"
MODEL = "esm2_t6_8M_UR50D"
ASSAYS = ("GB1_Nisthal_2019", "TCRG1_MOUSE_Tsuboyama_2023_1E0L", "AMFR_HUMAN_Tsuboyama_2023_4G3O")
PENALTIES = np.logspace(-1, 5, 13)
FOLDS = 5
TOKENS_PER_BATCH = 4096
GOAL = 0.002


def main() -> None:
    options = arguments_of(
        __doc__.splitlines()[0],
        lambda parser: parser.add_argument("--assays", nargs="+", default=list(ASSAYS)),
        lambda parser: parser.add_argument("--shuffles", type=int, default=20, help="orders of the folds"),
        lambda parser: parser.add_argument("--pooling", choices=("mean", "bos"), default="mean"),
        lambda parser: parser.add_argument("--data", type=Path, default=DATA),
        lambda parser: parser.add_argument("--weights", type=Path, default=WEIGHTS),
    )
    weights = read_weights(MODEL, options.weights)
    engines = {
        precision: Esm2Engine(
            weights, layer=weights.n_layers, pooling=options.pooling, precision=precision,
            typical_tokens=TOKENS_PER_BATCH,
        )
        for precision in ("fp32", "bf16")
    }  # fmt: skip
    found = [figure(name, engines, options.data, options.shuffles) for name in options.assays]
    report("embedding_precision", found, options.out)


def figure(name: str, engines: dict[str, Esm2Engine], data: Path, shuffles: int) -> Figure:
    """The difference of Spearman correlations on one assay."""
    sequences, scores = assay(data / "assays" / f"{name}.csv.gz")
    vectors = {precision: embedded(sequences, engine) for precision, engine in engines.items()}
    columns = {precision: standardised(matrix) for precision, matrix in vectors.items()}
    penalty = best_penalty(columns["fp32"], scores)
    correlations = {
        precision: [spearman(scores, out_of_fold(matrix, scores, penalty, seed)) for seed in range(shuffles)]
        for precision, matrix in columns.items()
    }
    differences = np.subtract(correlations["bf16"], correlations["fp32"])
    noise = (vectors["bf16"] - vectors["fp32"]).std(axis=0) / vectors["fp32"].std(axis=0)
    return Figure(
        f"embedding.bf16_spearman_{name.split('_')[0].lower()}",
        f"difference in Spearman, bf16 against fp32, {name}",
        "",
        Spread.of(np.abs(differences).tolist()),
        goals=(Goal("ours", "<=", GOAL),),
        facts={
            "variants": len(scores), "penalty": penalty, "shuffles": shuffles,
            "spearman": {precision: float(np.mean(values)) for precision, values in correlations.items()},
            "spearman_deviation_over_shuffles": float(np.std(correlations["fp32"])),
            "mean_difference": float(differences.mean()),
            "noise_to_between_variant_deviation": {
                "median": float(np.median(noise)), "largest": float(noise.max())
            },
            "max_relative_error": float(
                np.abs(vectors["bf16"] - vectors["fp32"]).max() / np.abs(vectors["fp32"]).max()
            ),
        },
    )  # fmt: skip


def assay(path: Path) -> tuple[pa.Array, np.ndarray]:
    """Sequences and scores of one file; the template of a file without sequences is beside it."""
    table = pyarrow.csv.read_csv(path)
    if "mutated_sequence" in table.column_names:
        sequences = table["mutated_sequence"].to_pylist()
    else:
        template = json.loads(Path(str(path).replace(".csv.gz", ".json")).read_text(encoding="utf-8"))[
            "template"
        ]
        sequences = [mutated(template, mutant) for mutant in table["mutant"].to_pylist()]
    return pa.array(sequences, pa.large_string()), table["DMS_score"].to_numpy()


def mutated(template: str, mutant: str) -> str:
    letters = list(template)
    for part in mutant.split(":"):
        letters[int(part[1:-1]) - 1] = part[-1]
    return "".join(letters)


def embedded(sequences: pa.Array, engine: Esm2Engine) -> np.ndarray:
    """float64 [N, D]."""
    monitor = StageMonitor()
    vectors = embed_library(
        Library(sequences), engine, tokens_per_batch=TOKENS_PER_BATCH, policy={}, monitor=monitor
    )
    return np.asarray(vectors, np.float64)


def standardised(matrix: np.ndarray) -> np.ndarray:
    return np.asarray((matrix - matrix.mean(axis=0)) / matrix.std(axis=0))


def best_penalty(columns: np.ndarray, scores: np.ndarray) -> float:
    """The penalty with the highest out-of-fold correlation in one order of the folds."""
    found = [spearman(scores, out_of_fold(columns, scores, penalty, seed=-1)) for penalty in PENALTIES]
    return float(PENALTIES[int(np.argmax(found))])


def out_of_fold(columns: np.ndarray, scores: np.ndarray, penalty: float, seed: int) -> np.ndarray:
    """Ridge predictions, each made without the fold that its row is in; float64 [N]."""
    fold = np.random.default_rng([1, seed + 1]).permutation(len(scores)) % FOLDS
    predicted = np.empty(len(scores))
    for k in range(FOLDS):
        train = fold != k
        x, y = columns[train], scores[train]
        centre, level = x.mean(axis=0), y.mean()
        gram = (x - centre).T @ (x - centre) + penalty * np.eye(x.shape[1])
        weights = np.linalg.solve(gram, (x - centre).T @ (y - level))
        predicted[~train] = (columns[~train] - centre) @ weights + level
    return predicted


if __name__ == "__main__":
    main()
