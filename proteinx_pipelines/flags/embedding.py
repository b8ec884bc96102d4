"""`embedding.*`: the representation of sequences as vectors. Read by the embedding stage; independent of the split."""

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from proteinx_pipelines.domain.embedders import (
    ESM1_MODELS,
    FOLDER,
    LANGUAGE_MODELS,
    esm_layers,
    is_language_model,
)
from proteinx_pipelines.flags.base import FlagGroup, Name, PathText, from_list, from_names

ESM1_RESIDUES = 1022
"""Largest window of ESM-1b and ESM-1v, which have 1,024 learned positions for BOS, residues and EOS."""
MAX_RESIDUES = 4096
"""Largest window of ESM-2: memory and time grow with the square of the length."""

_Layer = Annotated[int, Field(ge=0, le=1000)]


def largest_window(name: str) -> int:
    """Number of residues an ESM model can process at once; the meaning of `embedding.window` when null."""
    return ESM1_RESIDUES if name in ESM1_MODELS else MAX_RESIDUES


class EmbeddingFlags(FlagGroup):
    """The representation of sequences as vectors."""

    name: Annotated[Name, Field(examples=["onehot"])] = "onehot"
    """Representation: `onehot`; `blosum62` (each residue's row of the matrix); `scales` (hydropathy, charge, volume
    and five z-scales of each residue); `substitution` (wild-type and mutant residue, position, sequence window);
    `kmers` (frequency of each residue and residue pair, for variants of different lengths); `file`; an ESM-2, ESM-1b
    or ESM-1v model by fair-esm's name; `folder` (a language model in the folder `embedding.weights`); or one that a
    plugin registers.
    """
    also: Annotated[tuple[Annotated[Name, Field(examples=["scales"])], ...], from_names(20)] = ()
    """Further representations whose columns are appended: `onehot`, `blosum62`, `scales`, `substitution`, `file`, or
    a plugin's. One-hot columns are then those of the varying positions.
    """
    path: PathText | None = Field(None, validate_default=True)
    """`file`: precomputed vectors, `.safetensors`, `.npz`, `.h5`, `.pt` or a table (`.csv`, `.parquet`, ...), keyed
    by ids, mutants or sequences.
    """
    weights: PathText | None = Field(None, validate_default=True)
    """Checkpoint of the language model on this node: a file in fair-esm's form, or a folder in Hugging Face's form
    (`config.json` and safetensors) of ESM-2, or with `folder` of ESM-2, SaProt, ESM-C, ProtT5 or Ankh. fair-esm's own
    download when null.
    """
    layer: _Layer | Annotated[tuple[_Layer, ...], Field(min_length=1), from_list(64)] | None = None
    """Transformer layer whose states are used; 0 is the token embedding, null the last layer. For a list, the states
    of all its layers are concatenated.
    """
    pooling: Literal["mean", "bos", "mutated", "mutated_difference", "per_residue", "none"] = "mean"
    """Pooling of residue states into one vector: mean over residues, the BOS token, mean over the mutated positions,
    the same minus the template's states there, `per_residue` (all states concatenated), or `none` (with `zero_shot`,
    whose score is then the only column).
    """
    zero_shot: Literal["none", "wild_type_marginals", "masked_marginals", "pseudo_likelihood"] = Field(
        "none", validate_default=True
    )
    """Score of the language model as the last column: sum over mutations of log p(mutant) - log p(wild type), where p
    is predicted from the template as it is, or with the position masked; or `pseudo_likelihood`: sum over all residues,
    each masked in turn, of log p(residue), minus that of the template (one pass for each residue of each sequence; also
    for insertions and deletions)."""
    window: int | None = Field(None, ge=16, le=MAX_RESIDUES)
    """Number of residues an ESM model processes at once: longer sequences are cut to a window around their mutations.
    The maximum, and the value when null, is 1022 for ESM-1 and 4096 for ESM-2.
    """
    precision: Literal["fp32", "bf16", "auto"] = "fp32"
    """Number format of weights and products inside the ESM model; sums and results are fp32. `auto`: bf16 for ESM-2
    if the processor or GPU multiplies it and a one-second test, run once per node, finds it faster; fp32 otherwise.
    The embedding's info names the format used.
    """
    tokens_per_batch: int = Field(8192, ge=1, le=2**24)
    """Tokens per forward pass (residues + 2 for each sequence); changes speed and memory, not results."""

    @field_validator("also")
    @classmethod
    def _parts_differ(cls, names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        models = sorted(set(names) & set(LANGUAGE_MODELS))
        if models:
            raise ValueError(f"{', '.join(models)} has weights; name it in `embedding.name`")
        twice = sorted({name for name in names if (*names, info.data.get("name")).count(name) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} would be there twice; name each representation once")
        return names

    @field_validator("weights", "layer", "window")
    @classmethod
    def _belongs_to_a_model(cls, value: Any, info: ValidationInfo) -> Any:
        name = info.data.get("name")
        if value is not None and name is not None and not is_language_model(name):
            raise ValueError(
                f"`embedding.name` is {name}, which has none of these; name a model, or leave this out"
            )
        if value is None and name == FOLDER and info.field_name == "weights":
            raise ValueError("missing; `embedding.name` folder needs the path of one")
        return value

    @field_validator("layer")
    @classmethod
    def _layer_exists(cls, value: int | tuple[int, ...] | None, info: ValidationInfo) -> Any:
        name, chosen = info.data.get("name"), (value,) if isinstance(value, int) else value or ()
        if name in LANGUAGE_MODELS and name != FOLDER and any(layer > esm_layers(name) for layer in chosen):
            raise ValueError(f"{name} has {esm_layers(name)} layers; 0 to {esm_layers(name)} is expected")
        if len(set(chosen)) < len(chosen):
            raise ValueError("a layer would be there twice; name each once")
        return chosen[0] if len(chosen) == 1 else value

    @field_validator("window")
    @classmethod
    def _model_has_the_positions(cls, value: int | None, info: ValidationInfo) -> int | None:
        name = info.data.get("name")
        if value is not None and name in LANGUAGE_MODELS and value > largest_window(name):
            raise ValueError(
                f"{name} has positions for {largest_window(name)} residues; at most that is expected"
            )
        return value

    @field_validator("zero_shot")
    @classmethod
    def _zero_shot_fits(cls, value: str, info: ValidationInfo) -> str:
        name = info.data.get("name")
        if value != "none" and name is not None and not is_language_model(name):
            raise ValueError(f"`embedding.name` is {name}, which has no score of its own; name an ESM model")
        if value == "none" and info.data.get("pooling") == "none":
            raise ValueError("`embedding.pooling` is none, so nothing would be left; choose how it is scored")
        return value

    @field_validator("path")
    @classmethod
    def _path_belongs_to_file(cls, value: str | None, info: ValidationInfo) -> str | None:
        used = "file" in (info.data.get("name"), *info.data.get("also", ()))
        if value is not None and not used:
            raise ValueError("neither `embedding.name` nor `embedding.also` is file; leave it out")
        if value is None and used:
            raise ValueError("missing; `embedding.name` file needs it")
        return value
