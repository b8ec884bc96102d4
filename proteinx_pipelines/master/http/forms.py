"""A file in a multipart form, read as it comes: `UploadFile` takes the whole body before a limit can refuse it."""

from collections.abc import AsyncIterator

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from proteinx_pipelines.master.http.problems import HttpProblem

_MOST_FIELD_BYTES = 64_000
"""All other fields together."""


def boundary_of(content_type: str) -> bytes | None:
    """The boundary of a multipart form; None for another type of body.

    Raises:
        HttpProblem: 400; a form without a boundary.
    """
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        return None
    if not options.get(b"boundary"):
        raise _bad("the boundary is missing in its Content-Type")
    return options[b"boundary"]


class Form:
    """One multipart form with one file.

    Args:
        boundary: of its parts.
    """

    def __init__(self, boundary: bytes) -> None:
        self.fields: dict[str, str] = {}
        """The other fields; whole once the form has ended."""
        self.file_name: str | None = None
        """Name that the sender gave the file; None before it has begun."""
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._name,
                "on_header_value": self._value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_end,
                "on_part_data": self._data,
                "on_part_end": self._end,
                "on_end": self._finish,
            },
        )
        self._header, self._header_value = b"", b""
        self._headers: dict[bytes, bytes] = {}
        self._field: str | None = None
        self._is_file = self._has_ended = False
        self._values: dict[str, bytearray] = {}
        self._blocks: list[bytes] = []

    async def file_of(self, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The blocks of the file.

        Raises:
            HttpProblem: 400; the form cannot be read, has no file or several, or its other fields are too long.
        """
        async for block in body:
            try:
                self._parser.write(block)
            except FormParserError as error:
                raise _bad(str(error)) from error
            for each in self._blocks:
                yield each
            self._blocks.clear()
        if not self._has_ended:
            raise _bad("it ends before its last boundary")
        if self.file_name is None:
            raise _bad("it has no file; a part with a `filename` is expected")
        self.fields = {name: value.decode("utf-8", "replace") for name, value in self._values.items()}

    # ------------------------------------------------------------------ calls of the parser
    def _begin(self) -> None:
        self._headers = {}
        self._header = self._header_value = b""
        self._field, self._is_file = None, False

    def _name(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._header.lower()] = self._header_value
        self._header = self._header_value = b""

    def _headers_end(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if b"filename" in options:
            if self.file_name is not None:
                raise _bad("it has several files; one is expected")
            self.file_name = options[b"filename"].decode("utf-8", "replace")
            self._is_file = True
        else:
            self._field = options.get(b"name", b"").decode("utf-8", "replace")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self._blocks.append(data[start:end])
        elif self._field is not None:
            if sum(map(len, self._values.values())) + end - start > _MOST_FIELD_BYTES:
                raise _bad(f"its fields without the file have more than {_MOST_FIELD_BYTES:,} bytes")
            self._values.setdefault(self._field, bytearray()).extend(data[start:end])

    def _end(self) -> None:
        if self._field is not None:
            self._values.setdefault(self._field, bytearray())

    def _finish(self) -> None:
        self._has_ended = True


def _bad(why: str) -> HttpProblem:
    return HttpProblem(400, "bad_form", f"The form cannot be read: {why}.")
