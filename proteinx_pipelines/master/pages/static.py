"""Files that pages load, below `/static/<digest>/`: those of the report and those of the Master's pages.

The digest is over all of them and is part of the path, so that modules that import one another by relative address
are loaded from one version, and a browser may keep them for ever.
"""

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from proteinx_pipelines.pages.render import ASSETS

_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}
_FOLDERS = (ASSETS, Path(__file__).with_name("assets"))


@lru_cache(maxsize=1)
def files() -> Mapping[str, tuple[bytes, str]]:
    """File name -> content and media type."""
    found = {}
    for folder in _FOLDERS:
        for file in sorted(folder.iterdir()):
            if file.suffix in _TYPES:
                found[file.name] = (file.read_bytes(), _TYPES[file.suffix])
    return found


@lru_cache(maxsize=1)
def digest() -> str:
    """Name of this version of the files."""
    whole = hashlib.sha256()
    for name, (content, _kind) in sorted(files().items()):
        whole.update(name.encode() + b"\0" + content + b"\0")
    return whole.hexdigest()[:16]
