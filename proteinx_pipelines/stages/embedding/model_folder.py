"""A language model from a local folder in Hugging Face's form: `config.json` and safetensors, no code of its own.

What kind it is follows from `config.json`; weights are read from `model.safetensors`, in one file or in shards with an
index. Pickled weights and code in the folder are never opened. The digest of a folder is that of the files that are
read, so that a model with other numbers is another model, wherever it lies.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proteinx_pipelines.errors import MissingWeights
from proteinx_pipelines.experiment_dir.files import file_sha256
from proteinx_pipelines.flags.tree import sha256_of

if TYPE_CHECKING:
    from torch import Tensor

CONFIG = "config.json"
_READ = ("*.safetensors", "*.safetensors.index.json", "vocab.txt")
_FORM = f"a folder with {CONFIG} and model.safetensors, as `save_pretrained` writes it"


@dataclass(frozen=True)
class ModelFolder:
    """Description of a folder; its weights are read by `tensors_of`."""

    path: Path
    kind: str
    """`model_type` of `config.json`: `esm` (ESM-2, SaProt), `esmc`, `t5` (ProtT5, Ankh)."""
    config: Mapping[str, Any]
    sha256: str
    """Digest of the names and contents of the files that are read."""


def is_model_folder(path: Path) -> bool:
    """True for a folder with a `config.json`."""
    return (path / CONFIG).is_file()


def files_of(path: Path) -> list[Path]:
    """Files of a model's folder that are read, sorted by name."""
    return sorted({path / CONFIG, *(file for pattern in _READ for file in path.glob(pattern))})


def folder_sha256(path: Path) -> str:
    """Digest of a model's folder."""
    return sha256_of({file.name: file_sha256(file) for file in files_of(path)})


def weights_sha256(path: Path) -> str:
    """Digest of a checkpoint, a file or a folder."""
    return folder_sha256(path) if path.is_dir() else file_sha256(path)


def read_folder(path: Path) -> ModelFolder:
    """Read the description of a model's folder.

    Raises:
        MissingWeights: it is no such folder, or has no safetensors; the message says what is expected.
    """
    try:
        config = json.loads((path / CONFIG).read_text(encoding="utf-8"))
        kind = config["model_type"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MissingWeights(f"{path} is not {_FORM} ({type(error).__name__}: {error}).") from error
    if not list(path.glob("*.safetensors")):
        found = ", ".join(sorted(file.name for file in path.iterdir())[:10]) or "nothing"
        raise MissingWeights(
            f"{path} has no weights in safetensors (found {found}); {_FORM} is expected. Convert it with "
            "`AutoModel.from_pretrained(...).save_pretrained(FOLDER)`, on a machine where you trust its files."
        )
    return ModelFolder(path, str(kind), config, folder_sha256(path))


def tensors_of(folder: ModelFolder, prefixes: tuple[str, ...] = ()) -> dict[str, "Tensor"]:
    """Weights by name, without the first of these prefixes that a name begins with.

    Raises:
        MissingWeights: a file is damaged, or one of the shards is missing.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    found: dict[str, Tensor] = {}
    files = sorted(folder.path.glob("*.safetensors"))
    index = next(folder.path.glob("*.safetensors.index.json"), None)
    try:
        if index is not None:
            named = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
            if lacking := sorted(named - {file.name for file in files}):
                raise MissingWeights(f"{folder.path} lacks {', '.join(lacking)}, which {index.name} names.")
            files = [file for file in files if file.name in named]
        for file in files:
            found |= load_file(file)
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise MissingWeights(f"{folder.path} is damaged ({type(error).__name__}: {error}).") from error
    return {_without(name, prefixes): value for name, value in found.items()}


def needed(tensors: Mapping[str, "Tensor"], shapes: Mapping[str, tuple[int, ...]], path: Path) -> None:
    """Check that tensors are there, with these shapes and finite.

    Raises:
        MissingWeights: names every one that is not.
    """
    problems = []
    for name, shape in shapes.items():
        if name not in tensors:
            problems.append(f"{name} is missing")
        elif tuple(tensors[name].shape) != shape:
            problems.append(f"{name} is {tuple(tensors[name].shape)}, {shape} is expected")
        elif not bool(tensors[name].isfinite().all()):
            problems.append(f"{name} has NaN or infinite numbers")
    if problems:
        more = f"; and {len(problems) - 10} more" if len(problems) > 10 else ""
        raise MissingWeights(f"{path} is damaged: {'; '.join(problems[:10])}{more}.")


def _without(name: str, prefixes: tuple[str, ...]) -> str:
    return next((name.removeprefix(prefix) for prefix in prefixes if name.startswith(prefix)), name)
