"""A picture: its static drawing, and the data from which the page's script draws it again to answer questions.

Kinds of pictures stand beside this module. Only the numbers decide the bytes: no date, no random id.
"""

import base64
import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np

STANDALONE_STYLE = (
    "text{font:11px system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans CJK SC','PingFang SC','Microsoft YaHei',"
    "sans-serif;fill:#1c2430}.soft{fill:#5b6675}.axis{stroke:#8a94a6}.grid{stroke:#e3e7ee}"
    ".guide{stroke:#5b6675;stroke-dasharray:4 4}.hatch{stroke:#c3cad6}.letter{font:10px ui-monospace,monospace}"
    ".residue{fill:#1c2430}"
)
"""What the page's own style sheet says of pictures, for files that stand alone."""
HATCH = (
    '<defs><pattern id="hatch" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<path class="hatch" d="M0 0V5" stroke="#c3cad6"/></pattern></defs>'
)
"""The pattern of cells without a value; once a page or file."""


@dataclass(frozen=True)
class Figure:
    """One picture of a page."""

    name: str
    """Stem of its files, such as `scatter`."""
    kind: str
    """Which part of the page's script draws it: `scatter`, `curve`, `map` or `static`."""
    title: str
    """What it shows, a phrase."""
    caption: str
    """A sentence with the number of things shown."""
    alternative: str
    """The numbers that matter, for readers who cannot see it."""
    width: int
    height: int
    drawing: str
    """SVG elements in a coordinate system of `width` by `height`."""
    payload: Mapping[str, Any] = field(default_factory=dict)
    """For the script: JSON, arrays of more than a few numbers as `packed`."""
    columns: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """For CSV: columns of one length."""
    whole: bool = False
    """Takes the page's whole width."""

    def svg(self) -> str:
        """The drawing for a page; its style comes from the page."""
        return self._svg("")

    def svg_file(self) -> bytes:
        """The drawing as a file of its own."""
        return self._svg(
            f'<style>{STANDALONE_STYLE}</style>{HATCH}<rect width="100%" height="100%" fill="#ffffff"/>'
        ).encode()

    def csv_file(self) -> bytes:
        """The data as UTF-8 CSV."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(zip(*self.columns.values(), strict=True))
        return buffer.getvalue().encode()

    def payload_json(self) -> str:
        """The data for the script, safe inside a `script` element."""
        text = json.dumps(dict(self.payload), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")

    def _svg(self, first: str) -> str:
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" '
            f'width="{self.width}" height="{self.height}" role="img" '
            f'aria-label="{escape(self.alternative, quote=True)}">{first}{self.drawing}</svg>'
        )


def packed(values: np.ndarray) -> dict[str, str]:
    """An array for the script: little-endian float32 in base64; NaN where a value is missing."""
    content = np.ascontiguousarray(values, dtype="<f4").tobytes()
    return {"f32": base64.b64encode(content).decode("ascii")}
