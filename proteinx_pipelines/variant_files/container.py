"""Unpack and decode files: gzip regardless of the name, zip with one file, any encoding."""

import codecs
import gzip
import io
import re
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path

from proteinx_pipelines.errors import CatalogError
from proteinx_pipelines.variant_files.understood import ReadingOptions

MOST_BYTES = 2 << 30
"""Size limit of files that are read whole, packed or not; a few kilobytes can unpack to terabytes."""
MOST_TIMES = 400
"""How many times its own size a packed file may unpack to, once that is more than `SMALL_BYTES`: gzip of real
measurements with their sequences reaches about a hundred."""
SMALL_BYTES = 100_000_000
"""Size up to which any compression is accepted."""
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WORKBOOK = ("xl/workbook.xml", "xl/workbook.bin", "content.xml")
_SKIPPED = re.compile(r"(^|/)(__MACOSX/|\.)")
_HAN = re.compile("[\u4e00-\u9fff]")
_HIGH_BYTES = re.compile(rb"[\x80-\xff]+")
_HEAD = 4096


@dataclass
class Content:
    """The unpacked bytes of a file."""

    name: str
    """Name of the unpacked file; its ending suggests the form."""
    data: bytes
    facts: dict[str, str] = field(default_factory=dict)


def unpacked(path: Path, options: ReadingOptions) -> Content:
    """Read a whole file and unpack gzip and zip.

    Raises:
        CatalogError: it does not exist, is damaged, or is an archive of several files of which none was named.
    """
    if not path.is_file():
        raise CatalogError(f"{path} is not there, or not a file.")
    _check_size(path, path.stat().st_size)
    content = Content(path.name, path.read_bytes())
    for _ in range(3):  # a zip in a gzip occurs in practice; deeper nesting is malicious
        if content.data[:2] == b"\x1f\x8b":
            content = _gunzipped(path, content)
        elif content.data[:4] == b"PK\x03\x04" and not _is_workbook(path, content):
            content = _unzipped(path, content, options)
    return content


def _gunzipped(path: Path, content: Content) -> Content:
    most = _most_unpacked(content)
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content.data)) as stream:
            data = stream.read(most + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise CatalogError(f"{path} cannot be read: gzip says {error}. Copy it again.") from error
    _check_size(path, len(data), most)
    name = content.name[:-3] if content.name.lower().endswith(".gz") else content.name
    return Content(name, data, {**content.facts, "packed with": "gzip"})


def _is_workbook(path: Path, content: Content) -> bool:
    """True for a workbook, which its own reader unpacks: whole, so that its size is looked at here."""
    try:
        with zipfile.ZipFile(io.BytesIO(content.data)) as archive:
            if not any(name in _WORKBOOK for name in archive.namelist()):
                return False
            size = sum(member.file_size for member in archive.infolist())
    except zipfile.BadZipFile:
        return False
    _check_size(path, size, _most_unpacked(content))
    return True


def _unzipped(path: Path, content: Content, options: ReadingOptions) -> Content:
    most = _most_unpacked(content)
    try:
        with zipfile.ZipFile(io.BytesIO(content.data)) as archive:
            member = _member(path, archive, options)
            _check_size(path, member.file_size, most)
            with archive.open(member) as stream:
                data = stream.read(most + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, OSError) as error:
        raise CatalogError(f"{path} cannot be read: zip says {error}. Copy it again.") from error
    _check_size(path, len(data), most)
    return Content(
        Path(member.filename).name, data, {**content.facts, "packed with": f"zip ({member.filename})"}
    )


def _member(path: Path, archive: zipfile.ZipFile, options: ReadingOptions) -> zipfile.ZipInfo:
    members = [m for m in archive.infolist() if not m.is_dir() and not _SKIPPED.search(m.filename)]
    if options.sheet is not None:
        named = [m for m in members if options.sheet in (m.filename, Path(m.filename).name)]
        members = named or members
        if not named:
            raise CatalogError(f"{path} has no file {options.sheet!r}; it has {_listed(members)}.")
    if len(members) != 1:
        found = _listed(members) if members else "none"
        raise CatalogError(f"{path} holds {len(members)} files ({found}). Say which one with --sheet NAME.")
    return members[0]


def _listed(members: list[zipfile.ZipInfo]) -> str:
    names = [member.filename for member in members]
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _most_unpacked(content: Content) -> int:
    """Bytes that a packed content may unpack to."""
    return min(MOST_BYTES, max(SMALL_BYTES, MOST_TIMES * len(content.data)))


def _check_size(path: Path, size: int, most: int = MOST_BYTES) -> None:
    if size > MOST_BYTES:
        raise CatalogError(
            f"{path} unpacks to more than {MOST_BYTES >> 30} GiB. Unpack it and import its parts."
        )
    if size > most:
        raise CatalogError(
            f"{path} unpacks to more than {MOST_TIMES} times its size, which no measurements do. Unpack it and use "
            "the file itself."
        )


def decoded(path: Path, content: Content, options: ReadingOptions) -> str:
    """Decode bytes: by their byte order mark, else as UTF-8, else with the encoding that fits.

    Raises:
        CatalogError: they are not text, or not in the encoding that was named.
    """
    encoding = options.encoding or _encoding_of(content.data)
    try:
        text = content.data.decode(encoding)
    except (UnicodeDecodeError, LookupError) as error:
        raise CatalogError(
            f"{path} cannot be read as text in {encoding}: {error}. Name its --encoding."
        ) from error
    if "\0" in text[:_HEAD]:
        raise CatalogError(f"{path} is neither text nor a form that can be read.")
    if encoding not in ("utf-8", "utf-8-sig"):
        content.facts["encoding"] = encoding
    return text.removeprefix("\ufeff")


def _encoding_of(data: bytes) -> str:
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return encoding
    head = data[:_HEAD]
    if head.count(b"\0") > len(head) // 4:  # UTF-16 without its mark: every other byte of ASCII is zero
        return "utf-16-le" if head[1::2].count(0) > head[::2].count(0) else "utf-16-be"
    # Chinese letters of GB18030 are pairs of high bytes; an accented letter stands alone between others.
    in_pairs = all(len(run) % 2 == 0 for run in _HIGH_BYTES.findall(data))
    chinese = (("gb18030", _HAN),) if in_pairs else ()
    encodings: tuple[tuple[str, re.Pattern[str] | None], ...] = (("utf-8", None), *chinese, ("cp1252", None))
    for encoding, needed in encodings:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if needed is None or needed.search(text):
            return encoding
    return "latin-1"
