"""File of the prior that the package ships, made by `benchmarks/default_prior.py`; light enough for planning."""

import hashlib
from functools import cache
from importlib.resources import files

FILE = "default_prior.safetensors"


def default_bytes() -> bytes:
    """Content of the file."""
    return files("proteinx_pipelines.stages.train").joinpath(FILE).read_bytes()


@cache
def default_sha256() -> str:
    """Digest of the content: part of the key of a training that uses it."""
    return hashlib.sha256(default_bytes()).hexdigest()
