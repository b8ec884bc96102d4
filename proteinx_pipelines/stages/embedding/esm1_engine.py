"""ESM-1b and ESM-1v: fair-esm's own model, loaded without executing anything in the file.

Unlike ESM-2 they have learned positions, which limits a sequence to 1,022 residues: `embedding.window` allows no more,
and `windows` cuts longer sequences.

Source: Rives et al. 2021, doi:10.1073/pnas.2016239118 (ESM-1b); Meier et al. 2021, doi:10.1101/2021.07.09.450648
(ESM-1v); github.com/facebookresearch/esm, esm/model/esm1.py.
"""

import argparse
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from proteinx_pipelines.errors import MissingWeights
from proteinx_pipelines.experiment_dir.files import file_sha256
from proteinx_pipelines.stages.embedding.esm2_engine import DTYPES, MASK, TOKENS_OF_RESIDUES, esm2_tokens
from proteinx_pipelines.stages.embedding.pooling import pooled


def read_esm1(name: str, path: Path) -> tuple[Any, str]:
    """fair-esm's model of a checkpoint, ready to embed, and the SHA-256 of the file.

    Raises:
        MissingWeights: the file is not a checkpoint of this kind, or is damaged; replace it.
    """
    from esm.pretrained import load_model_and_alphabet_core

    try:
        with torch.serialization.safe_globals([argparse.Namespace]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the contact head's weights are not needed
            document = torch.load(path, map_location="cpu", weights_only=True)
            model, _ = load_model_and_alphabet_core(name, document, None)
    except Exception as error:  # whatever a damaged file makes its readers raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise MissingWeights(
            f"{path} is not a checkpoint of {name} in fair-esm's form ({reason}). Put fair-esm's own file there, or "
            "name another in `embedding.weights`."
        ) from error
    return model.eval(), file_sha256(path)


class Esm1Engine:
    """Vectors of equally long sequences at one layer or several; same interface as `Esm2Engine`."""

    def __init__(self, model: Any, *, layer: int | Sequence[int], pooling: str, precision: str) -> None:
        """Put the model on the GPU if there is one; of several layers the states stand side by side."""
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.precision = precision
        self._model = model.to(self.device, DTYPES[precision])
        self._wanted = [layer] if isinstance(layer, int) else list(layer)
        self._pooling = pooling
        self.width = int(model.embed_tokens.weight.shape[1]) * len(self._wanted)
        self.forward_passes = 0
        self.sequences_embedded = 0

    def embed(self, letters: np.ndarray, positions: np.ndarray | None = None) -> np.ndarray:
        """uint8 [B, L] letters, bool [B, L] positions to float32 [B, D]."""
        chosen = None if positions is None else torch.from_numpy(positions).to(self.device)
        states = self._states(letters)
        self.sequences_embedded += len(letters)
        return np.asarray(pooled(states, self._pooling, chosen).cpu().numpy())

    def residue_states(self, letters: np.ndarray) -> np.ndarray:
        """uint8 [B, L] letters to float32 [B, L, D]."""
        return np.asarray(self._states(letters)[:, 1:-1].float().cpu().numpy())

    def residue_log_odds(self, letters: np.ndarray, masked: np.ndarray | None = None) -> np.ndarray:
        """Logits of the head, float32 [B, L, 20] as `AMINO_ACIDS`; `masked` (int64 [B]) hides one position each."""
        logits = self._run(letters, masked)["logits"][:, 1:-1]
        return np.asarray(logits[:, :, TOKENS_OF_RESIDUES].float().cpu().numpy())

    def _states(self, letters: np.ndarray) -> Tensor:
        """uint8 [B, L] letters to [B, L + 2, D] states at the wanted layers, side by side."""
        found = self._run(letters)["representations"]
        return torch.cat([found[number] for number in self._wanted], dim=-1)

    def _run(self, letters: np.ndarray, masked: np.ndarray | None = None) -> dict[str, Any]:
        tokens: Tensor = torch.from_numpy(esm2_tokens(letters))
        if masked is not None:
            tokens[torch.arange(len(masked)), torch.from_numpy(masked) + 1] = MASK
        self.forward_passes += 1
        with torch.inference_mode():
            found: dict[str, Any] = self._model(tokens.to(self.device), repr_layers=self._wanted)
        return found
