"""Encoders of the T5 family (ProtT5, Ankh) from a folder, by `transformers` (extra `transformers`): residue states.

Tokens are those of the folder's own tokenizer for single letters. Nothing in the folder is executed: it is opened from
this machine only (`local_files_only`), with safetensors, and code in it is never run (`trust_remote_code` is off).

Source: Elnaggar et al. 2022, doi:10.1109/TPAMI.2021.3095381 (ProtT5); Elnaggar et al. 2023, arXiv:2301.06568 (Ankh).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from proteinx_pipelines.errors import FlagError, MissingPackage, MissingWeights
from proteinx_pipelines.records import AMINO_ACIDS
from proteinx_pipelines.stages.embedding.esm2_engine import DTYPES
from proteinx_pipelines.stages.embedding.model_folder import ModelFolder
from proteinx_pipelines.stages.embedding.pooling import pooled

_MARK = "\u2581"
"""Begins the pieces of a word in sentencepiece's vocabulary; ProtT5's residues are words."""


class T5Engine:
    """Vectors of equally long sequences at one layer or several; same interface as `Esm2Engine`, without a head."""

    has_head = False

    def __init__(
        self, folder: ModelFolder, *, layer: int | Sequence[int] | None, pooling: str, precision: str
    ) -> None:
        """Open the encoder and its tokenizer's vocabulary.

        Raises:
            MissingPackage: `transformers` is not installed.
            MissingWeights: the folder cannot be read, or its vocabulary lacks a residue.
            FlagError: `embedding.pooling` bos; an encoder of this family has no such token.
        """
        if pooling == "bos":
            raise FlagError(
                [f"`embedding.pooling` is bos, and {folder.path.name} has no such token; take mean"]
            )
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.precision = precision
        model = _opened(folder)
        self.n_layers = int(folder.config["num_layers"])
        self._model = model.to(self.device, DTYPES[precision]).eval()
        self._wanted = (
            [self.n_layers] if layer is None else [layer] if isinstance(layer, int) else list(layer)
        )
        self.width = int(folder.config["d_model"]) * len(self._wanted)
        self._pooling = pooling
        self._tokens, self._end = _vocabulary(folder)
        self.forward_passes = self.sequences_embedded = 0

    def embed(self, letters: np.ndarray, positions: np.ndarray | None = None) -> np.ndarray:
        """uint8 [B, L] letters, bool [B, L] positions to float32 [B, D]."""
        chosen = None if positions is None else torch.from_numpy(positions).to(self.device)
        states = self._states(letters)
        self.sequences_embedded += len(letters)
        # `pooled` expects a token before the residues; there is none here.
        framed = torch.cat([states[:, :1], states], dim=1)
        return np.asarray(pooled(framed, self._pooling, chosen).cpu().numpy())

    def residue_states(self, letters: np.ndarray) -> np.ndarray:
        """uint8 [B, L] letters to float32 [B, L, D]."""
        return np.asarray(self._states(letters)[:, :-1].float().cpu().numpy())

    def residue_log_odds(
        self,
        letters: np.ndarray,  # noqa: ARG002
        masked: np.ndarray | None = None,  # noqa: ARG002
    ) -> np.ndarray:
        """Refused: an encoder has no head.

        Raises:
            FlagError: always.
        """
        raise FlagError(
            ["`embedding.zero_shot`: an encoder of the T5 family has no head that scores; leave it out"]
        )

    def _states(self, letters: np.ndarray) -> Tensor:
        """[B, L + 1, D] states of the residues and the end, at the wanted layers, side by side."""
        tokens = np.full((len(letters), letters.shape[1] + 1), self._end, np.int64)
        tokens[:, :-1] = self._tokens[letters]
        self.forward_passes += 1
        with torch.inference_mode():
            found = self._model(
                input_ids=torch.from_numpy(tokens).to(self.device), output_hidden_states=True
            ).hidden_states
        return torch.cat([found[number] for number in self._wanted], dim=-1)


def _opened(folder: ModelFolder) -> Any:
    try:
        from transformers import T5EncoderModel
    except ImportError as error:
        raise MissingPackage(
            f"{folder.path.name} is a model of the T5 family, which the package transformers reads, and it is not "
            "installed. Install it with: pip install 'proteinx-infra[transformers]'"
        ) from error
    try:
        return T5EncoderModel.from_pretrained(
            str(folder.path), local_files_only=True, use_safetensors=True, trust_remote_code=False
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise MissingWeights(f"{folder.path} is not an encoder of the T5 family ({error}).") from error


def _vocabulary(folder: ModelFolder) -> tuple[np.ndarray, int]:
    """Token of each letter (int64 [256]) and of the end."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            str(folder.path), local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise MissingWeights(f"{folder.path} has no tokenizer that can be read ({error}).") from error
    known = tokenizer.get_vocab()
    tokens = np.full(256, -1, np.int64)
    for letter in AMINO_ACIDS:
        # A residue is a word of its own in ProtT5, a plain token in Ankh.
        place = known.get(_MARK + letter, known.get(letter))
        if place is None:
            raise MissingWeights(f"{folder.path}: its vocabulary lacks the residue {letter!r}.")
        tokens[ord(letter)] = place
    return tokens, int(tokenizer.eos_token_id)
