"""Copy or download one file: complete or not at all, up to a size limit, with its checksum."""

import hashlib
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from proteinx_pipelines.errors import CatalogError, MissingFile

MOST_BYTES = 2 << 30
TIMEOUT_S = 60.0
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Download:
    """A downloaded file."""

    path: Path
    address: str
    """Address or path of its origin."""
    sha256: str


def is_address(place: str) -> bool:
    """True if a location is an http(s) address, not a folder."""
    return urllib.parse.urlsplit(place).scheme in ("http", "https")


def download(place: str, target: Path) -> Download:
    """Copy a file of this machine, or one at an http(s) address, to `target`.

    Raises:
        MissingFile: it does not exist, or the network cannot be reached; the message has the address.
        CatalogError: it is larger than 2 GiB.
    """
    digest = hashlib.sha256()
    try:
        with _opened(place) as source, target.open("wb") as sink:
            size = 0
            while block := source.read(_BLOCK):
                size += len(block)
                if size > MOST_BYTES:
                    raise CatalogError(
                        f"{place} has more than {MOST_BYTES >> 30} GiB. Import it from a file."
                    )
                digest.update(block)
                sink.write(block)
    except (urllib.error.URLError, OSError, ValueError) as error:
        target.unlink(missing_ok=True)
        raise MissingFile(
            f"{place} cannot be had: {_reason(error)}. Where there is no network, put a copy into a folder and name it "
            "with --from FOLDER (docs/data.md says under which names)."
        ) from error
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return Download(target, place, digest.hexdigest())


def _reason(error: Exception) -> object:
    """What was wrong; of a server's answer its number too, since servers word it as they like."""
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code}, {error.reason}"
    return getattr(error, "reason", None) or error


def _opened(place: str) -> BinaryIO:
    if is_address(place):
        request = urllib.request.Request(place, headers={"User-Agent": "proteinx"})  # noqa: S310  # http(s): asked above
        return urllib.request.urlopen(request, timeout=TIMEOUT_S)  # type: ignore[no-any-return]  # noqa: S310
    return Path(place).open("rb")
