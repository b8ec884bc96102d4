"""Address of the store that machines share: its form, and which references are inside it. Opens nothing.

An address holds no secret: credentials come from the environment, under the names of each provider.
"""

from pathlib import Path
from urllib.parse import urlsplit

OBJECT_SCHEMES = ("s3", "gs", "az")
"""Schemes of object stores."""
SCHEMES = (*OBJECT_SCHEMES, "file", "memory")
EXPECTED = (
    "expected is s3://bucket/prefix, gs://bucket/prefix, az://container/prefix, file:///folder or memory://"
)


def store_problem(url: str) -> str | None:
    """The reason why a text is no address of a store, without its secrets; None where it is one."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return f"it is not a URL; {EXPECTED}"
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        return "it contains a user or a password; credentials come from the environment only"
    if parts.scheme not in SCHEMES:
        return f"it begins otherwise; {EXPECTED}"
    if parts.query or parts.fragment:
        return f"it has a query or a fragment; {EXPECTED}"
    if parts.scheme in OBJECT_SCHEMES and not parts.netloc:
        return f"it names no bucket; {EXPECTED}"
    if parts.scheme == "file" and (parts.netloc not in ("", "localhost") or parts.path in ("", "/")):
        return f"it names another machine or no folder; {EXPECTED}"
    if any(part in ("..", ".") for part in parts.path.split("/")):
        return f"its path has `.` or `..`; {EXPECTED}"
    return None


def folder_of(url: str) -> Path | None:
    """The folder of a `file://` address; None for any other."""
    parts = urlsplit(url)
    if parts.scheme != "file":
        return None
    from urllib.request import url2pathname  # deferred: imports HTTP, a tenth of a command's start

    return Path(url2pathname(parts.path))


def name_inside(store: str, reference: str) -> str | None:
    """The name of a blob whose address lies in the store: `s3://bucket/prefix/a/b` -> `a/b`; None for others."""
    prefix = store if store.endswith("/") else f"{store}/"
    if store.startswith("file:"):
        prefix = "file://" + urlsplit(prefix).path
        path = urlsplit(reference)
        if path.scheme != "file" or path.netloc not in ("", "localhost"):
            return None
        reference = "file://" + path.path
    if not reference.startswith(prefix):
        return None
    return reference.removeprefix(prefix) or None
