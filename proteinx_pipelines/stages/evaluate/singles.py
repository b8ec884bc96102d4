"""Predictions of every single mutant of a template, measured or not, for the report's map.

Only for representations that are cheap for a new sequence. Language models, vectors from a file and plugins are
left out here; the design stage uses them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proteinx_pipelines.domain.embedders import FROM_FILES, is_language_model
from proteinx_pipelines.errors import InputError, ProteinxError
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.records import AMINO_ACIDS, Embedding, VariantTable
from proteinx_pipelines.representations import find
from proteinx_pipelines.stages.evaluate.predict import Predictor

MOST_MODELS = 3
"""Most models used; of more folds, evenly spaced ones are taken."""
MOST_SINGLES = 12_000
"""Most single mutants of a filled map (632 residues)."""


@dataclass(frozen=True)
class Singles:
    """Predictions of the single mutants of one template at P of its positions."""

    positions: np.ndarray
    """int64 [P], from 1, ascending."""
    prediction: np.ndarray
    """float64 [20, P], mean over models; rows in the order of `AMINO_ACIDS`; the template's own residue included."""
    deviation: np.ndarray | None
    """float64 [20, P], of the first model; None where it has none."""
    wild_type: float
    """The models' prediction of the template itself."""


def predict_singles(
    models: Sequence[Predictor],
    variants: VariantTable,
    embedding: Embedding,
    source: str,
    positions: np.ndarray,
    flags: ExperimentFlags,
    monitor: StageMonitor,
) -> Singles | None:
    """Predict all 20 residues at each of the positions.

    Args:
        models: one per fold; at most `MOST_MODELS` are used.
        variants: N rows of the experiment; gives the templates.
        embedding: of those rows; the new one must be of its kind.
        source: name of the source whose template is mutated.
        positions: int64 [P], from 1; those that vary among the N rows.
        flags: `embedding.*`.
        monitor: receives progress.

    Returns:
        None if the representation of a new sequence is not cheap, or not of the kind that the models were trained on.
    """
    if not _is_free(variants, embedding, positions, flags):
        return None
    from proteinx_pipelines.stages.embedding.embed import embed_variants

    library = _library(variants, source, positions)
    try:
        made = embed_variants(library, flags.embedding, monitor, evidence=embedding.evidence)
        if made.width != embedding.width:
            return None
        chosen = models[:: max(1, -(-len(models) // MOST_MODELS))]
        n = len(positions) * len(AMINO_ACIDS)
        rows = np.arange(n + 1)
        means = [np.asarray(model.predict(made, rows), np.float64) for model in chosen]
        # The deviation of one model is enough to mark uncertain cells; it costs more than all the means.
        deviation = chosen[0].predict_deviation(made, rows)
    except (InputError, ProteinxError, ValueError):
        return None  # the model predicts its own rows only: the map shows measured values
    mean = np.mean(means, axis=0)
    shape = (len(positions), len(AMINO_ACIDS))
    return Singles(
        positions,
        mean[1 : n + 1].reshape(shape).T,
        None if deviation is None else np.asarray(deviation, np.float64)[1 : n + 1].reshape(shape).T,
        float(mean[0]),
    )


def _is_free(
    variants: VariantTable, embedding: Embedding, positions: np.ndarray, flags: ExperimentFlags
) -> bool:
    """True if new sequences can be embedded in the models' columns without a language model, a file or a plugin."""
    if not 0 < len(positions) * len(AMINO_ACIDS) <= MOST_SINGLES:
        return False
    names = (flags.embedding.name, *flags.embedding.also)
    if any(is_language_model(name) or name == "file" or find(name) is not None for name in names):
        return False
    if embedding.tokens is not None or set(names) <= {"substitution", *FROM_FILES}:
        return True
    # Columns stand for the positions that vary: the library must have the same ones.
    from proteinx_pipelines.stages.embedding.columns import varying_positions
    from proteinx_pipelines.stages.embedding.letters import checked_sequences
    from proteinx_pipelines.stages.embedding.onehot import residue_tokens

    if len(variants.templates) > 1:
        return False
    return np.array_equal(varying_positions(residue_tokens(checked_sequences(variants))) + 1, positions)


def _library(variants: VariantTable, source: str, positions: np.ndarray) -> VariantTable:
    """The template, its single mutants, and the experiment's longest sequence where that is longer."""
    template = variants.templates[source]
    letters = np.frombuffer(template.encode("ascii"), np.uint8)
    n = len(positions) * len(AMINO_ACIDS)
    matrix = np.tile(letters, (n, 1))
    matrix[np.arange(n), np.repeat(positions - 1, len(AMINO_ACIDS))] = np.tile(
        np.frombuffer(AMINO_ACIDS.encode("ascii"), np.uint8), len(positions)
    )
    sequences = [template, *(bytes(row).decode("ascii") for row in matrix)]
    mutants = ["WT"] + [
        f"{template[at - 1]}{at}{residue}" for at in positions.tolist() for residue in AMINO_ACIDS
    ]
    sources = [source] * len(sequences)
    # One-hot columns cover the length of the experiment's longest sequence.
    lengths = pc.utf8_length(variants.rows.column("sequence")).to_numpy()
    if lengths.max() > len(template):
        sequences.append(variants.rows.column("sequence")[int(lengths.argmax())].as_py())
        mutants.append("WT")
        sources.append(source)
    count = len(sequences)
    columns = {
        "id": [f"{index}" for index in range(count)],
        "source": sources,
        "mutant": mutants,
        "sequence": sequences,
        "target": [0.0] * count,
        "DMS_score": [0.0] * count,
        "mut_num": [0 if mutant == "WT" else 1 for mutant in mutants],
        "n_merged": [1] * count,
    }
    rows = pa.table(columns, schema=_schema(variants, list(columns)))
    return replace(variants, rows=rows, dropped={})


def _schema(variants: VariantTable, names: list[str]) -> pa.Schema:
    return pa.schema([variants.rows.schema.field(name) for name in names])
