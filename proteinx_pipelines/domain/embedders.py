"""Names of the built-in embedders, and the facts that follow from a name alone.

`embedding.name` and `embedding.also` take them. `stages.embedding` implements them; plugins register theirs in
`representations`. Imports nothing, since messages are also checked where nothing else is installed.
"""

ESM2_MODELS = (
    "esm2_t6_8M_UR50D", "esm2_t12_35M_UR50D", "esm2_t30_150M_UR50D",
    "esm2_t33_650M_UR50D", "esm2_t36_3B_UR50D", "esm2_t48_15B_UR50D",
)  # fmt: skip
"""ESM-2 checkpoints by fair-esm's names."""
ESM1_MODELS = ("esm1b_t33_650M_UR50S", *(f"esm1v_t33_650M_UR90S_{number}" for number in range(1, 6)))
"""ESM-1b and the five models of ESM-1v by fair-esm's names."""
FOLDER = "folder"
"""Embedder of any language model in a folder that `embedding.weights` names."""
LANGUAGE_MODELS = (*ESM2_MODELS, *ESM1_MODELS, FOLDER)
"""Embedders that need a checkpoint."""
WEIGHTS_FREE = ("onehot", "blosum62", "scales", "substitution", "kmers", "structure", "alignment")
"""Embedders without weights: made from the sequences, `structure` and `alignment` also from files of the template."""
FROM_FILES = ("structure", "alignment")
"""Embedders of the kind of file that they are made from: `data.structure`, `data.alignment`, or one attached."""
EMBEDDERS = (*WEIGHTS_FREE, "file", *LANGUAGE_MODELS)
"""Built-in values of `embedding.name`; plugins add theirs."""


ESM_WIDTHS = {6: 320, 12: 480, 30: 640, 33: 1280, 36: 2560, 48: 5120}
"""Length of one residue's state vector in an ESM model, by number of layers."""


def esm_layers(name: str) -> int:
    """Number of transformer layers of an ESM model, from its name: 6 for `esm2_t6_8M_UR50D`."""
    return int(name.split("_")[1].removeprefix("t"))


def is_language_model(name: str) -> bool:
    """True if an embedder is a model with weights."""
    return name in LANGUAGE_MODELS
