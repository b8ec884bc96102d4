"""Forms of references to files in messages, and the sentence about one that no node follows.

What is inside a node's folders, its store and its Master only the node knows (`files.references`); a form that nobody
follows is refused at any door, in the same words.
"""

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from proteinx_pipelines.contract.request import ExperimentRequest
from proteinx_pipelines.errors import MessageError
from proteinx_pipelines.pipeline.stages import named_paths
from proteinx_pipelines.store_address import OBJECT_SCHEMES, name_inside

STORE_SCHEMES = (*OBJECT_SCHEMES, "memory")
"""Schemes of addresses within a store."""
WEB_SCHEMES = ("http", "https")
"""Schemes of addresses of a Master."""
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")  # two letters at least: `C:` is a drive
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._ +@=-]{0,199}")
_DIGEST = re.compile("[0-9a-f]{64}")
_CONTENT = re.compile(r"/api/datasets/[A-Za-z0-9][A-Za-z0-9._-]{0,199}/content")
_LONGEST_SHOWN = 200


def shown_reference(name: str, reference: str) -> str:
    """A reference as messages show it: what it is called, and the start of its text."""
    text = repr(reference[:_LONGEST_SHOWN])
    return f"`{name}` {text if len(text) <= _LONGEST_SHOWN else f'{text[: _LONGEST_SHOWN - 3]}...'}"


def path_scheme_problem(shown: str, reference: str) -> str | None:
    """Why a text is no path of a machine: its scheme; None where it has none, or `file:`."""
    scheme = _SCHEME.match(reference)
    if scheme is None or scheme[1].lower() == "file":
        return None
    return (
        f"{shown} is a {scheme[1]}: reference; this node knows paths and file:// URLs only, px://sha256/<digest>, "
        "and the addresses of its store and Master. Copy the file into WORKDIR or a folder of PROTEINX_DATA_ROOTS "
        "and refer to it there."
    )


def is_file_name(name: str) -> bool:
    """True if a text from elsewhere may be the name of a file here."""
    return bool(_FILE_NAME.fullmatch(name)) and not name.endswith((".", " "))


def digest_and_name(reference: str) -> tuple[str, str] | None:
    """Digest and file name (empty where it has none) of `px://sha256/<digest>/<name>`; None for another form."""
    kind, _, rest = reference.partition("://")[2].partition("/")
    digest, _, name = rest.partition("/")
    if kind != "sha256" or not _DIGEST.fullmatch(digest) or (name and not is_file_name(name)):
        return None
    return digest, name


def digest_problem(shown: str) -> str:
    """What a reference by digest is told that has another form."""
    return (
        f"{shown} is not of the form px://sha256/<64 hexadecimal digits>, with /<file name> behind it or not."
    )


def is_content_path(path: str) -> bool:
    """True if a path at a Master is that of a data set's content."""
    return _CONTENT.fullmatch(path) is not None


def web_problem(shown: str, master: str | None) -> str:
    """Why a web address is not fetched by a node; `master` is the address of its Master, None where it has none."""
    known = f"{master}/api/datasets/<id>/content" if master else "none, since PROTEINX_MASTER is not set"
    return f"{shown} is not fetched; the web addresses that this node fetches: {known}."


def reference_problem(name: str, reference: str) -> str | None:
    """Why no node follows a reference, in a sentence; None where one may.

    Args:
        name: what the reference is called, such as `payload_ref`.
        reference: its text.
    """
    shown, found = shown_reference(name, reference), _SCHEME.match(reference)
    scheme = found[1].lower() if found is not None else ""
    if scheme == "file":
        return _elsewhere(shown, reference)
    if "://" not in reference or scheme not in ("px", *STORE_SCHEMES, *WEB_SCHEMES):
        return path_scheme_problem(shown, reference)
    if scheme == "px":
        return digest_problem(shown) if digest_and_name(reference) is None else None
    place = reference.find("/api/datasets/")
    if scheme in WEB_SCHEMES and (place < 0 or not is_content_path(reference[place:])):
        return web_problem(shown, "<PROTEINX_MASTER>")
    return None


def refuse_references(request: ExperimentRequest) -> ExperimentRequest:
    """The request, if some node may follow each of its references.

    Raises:
        MessageError: code `path_not_allowed`; each reference that none follows is named.
    """
    named = _named(request)
    _refuse(request, [problem for name, text in named.items() if (problem := reference_problem(name, text))])
    return request


def store_references(request: ExperimentRequest) -> dict[str, str]:
    """References to files of a store, by name: `payload_ref`, or a flag."""
    return {name: text for name, text in _named(request).items() if is_of_a_store(text)}


def is_of_a_store(reference: str) -> bool:
    """True if a reference is an address within a store, by its form."""
    scheme, separator, _ = reference.partition("://")
    return bool(separator) and scheme.lower() in STORE_SCHEMES


def refuse_outside_of(request: ExperimentRequest, stores: Sequence[str]) -> None:
    """Refuse a request with references to files of a store that is none of these.

    Args:
        request: the message.
        stores: addresses of the stores that nodes have.

    Raises:
        MessageError: code `path_not_allowed`; each such reference is named.
    """
    listed = ", ".join(stores)
    has = (
        f"lies outside of the stores of the connected nodes: {listed}. Copy the file into one of them"
        if stores
        else "names a file of a store, and no connected node has one. Set PROTEINX_STORE at the nodes"
    )
    do = f"{has}, or upload it as a data set (`POST /api/datasets`, field `dataset`) and name that."
    problems = [
        f"{shown_reference(name, text)} {do if name == 'payload_ref' else has + '.'}"
        for name, text in store_references(request).items()
        if not any(name_inside(store, text) for store in stores)
    ]
    _refuse(request, problems)


def _named(request: ExperimentRequest) -> dict[str, str]:
    """The references of a request by name."""
    named = named_paths(request.flags)
    return named if request.payload_ref is None else {"payload_ref": request.payload_ref, **named}


def _refuse(request: ExperimentRequest, problems: Sequence[str]) -> None:
    if problems:
        raise MessageError(
            "path_not_allowed",
            problems,
            experiment_id=request.experiment_id,
            message_id=request.message_id,
            message_key=request.message_key,
            reply_to=request.reply_to,
        )


def _elsewhere(shown: str, reference: str) -> str | None:
    try:
        host = urlsplit(reference).netloc
    except ValueError:
        return None  # no URL; the node says what is wrong with it as a path
    if host in ("", "localhost"):
        return None
    return f"{shown} names another machine or more than a path; use file:///path."
