"""Evidence as the bytes of a safetensors file: arrays, and everything else in its header."""

import json

from proteinx_pipelines.experiment_dir.arrays import read_arrays
from proteinx_pipelines.experiment_dir.files import json_ready
from proteinx_pipelines.records import Evidence


def evidence_bytes(evidence: Evidence) -> bytes:
    """The file's content; equal evidence gives equal bytes."""
    from safetensors.numpy import save  # deferred: not needed to load definitions

    document = {"sources": list(evidence.sources), "info": evidence.info}
    text = json.dumps(json_ready(document), sort_keys=True, ensure_ascii=False, allow_nan=False)
    return bytes(save(dict(evidence.arrays), metadata={"proteinx": text}))


def evidence_of(content: bytes) -> Evidence:
    """Read it back.

    Raises:
        ValueError, KeyError, TypeError: the bytes are damaged.
    """
    from safetensors import SafetensorError

    try:
        arrays = read_arrays(content)
        length = int.from_bytes(content[:8], "little")
        document = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["proteinx"])
    except SafetensorError as error:
        raise ValueError(str(error)) from error
    return Evidence(document["sources"], arrays, document["info"])
