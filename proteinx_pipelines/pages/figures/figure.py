"""A picture: its static drawing, and the data from which the page's script redraws it interactively.

Each kind of picture has its own module in this package. The bytes depend only on the numbers: no date, no random id.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np

STANDALONE_STYLE = (
    "text{font:11px system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans CJK SC','PingFang SC','Microsoft YaHei',"
    "sans-serif;fill:#1c2430}.soft{fill:#5b6675}.axis{stroke:#8a94a6}.grid{stroke:#e3e7ee}"
    ".guide{stroke:#5b6675;stroke-dasharray:4 4}.hatch{stroke:#c3cad6}.letter{font:10px ui-monospace,monospace}"
    ".residue{fill:#1c2430}.halo{fill:#5b6675;stroke:#ffffff;stroke-width:3px;paint-order:stroke}"
)
"""Styles of pictures from the page's style sheet, for standalone files."""
HATCH = (
    '<defs><pattern id="hatch" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<path class="hatch" d="M0 0V5" stroke="#c3cad6"/></pattern></defs>'
)
"""Pattern of cells without a value; once per page or file."""

_STANDALONE = f'<style>{STANDALONE_STYLE}</style>{HATCH}<rect width="100%" height="100%" fill="#ffffff"/>'


@dataclass(frozen=True)
class Figure:
    """One picture of a page."""

    name: str
    """Stem of its files, such as `scatter`."""
    kind: str
    """Part of the page's script that draws it: `scatter`, `curve`, `map` or `static`."""
    title: str
    """Title, a phrase."""
    caption: str
    """Caption, a sentence with the number of things shown."""
    alternative: str
    """Text alternative with the numbers that matter, for readers who cannot see the picture."""
    width: int
    height: int
    drawing: str
    """SVG elements in a coordinate system of `width` by `height`."""
    payload: Mapping[str, Any] = field(default_factory=dict)
    """Data for the script: JSON; arrays of more than a few numbers are `packed`."""
    whole: bool = False
    """Takes the full width of the page."""

    def document(self) -> dict[str, Any]:
        """Plain JSON without the columns, which are in the data that the picture was made from."""
        return {
            "name": self.name, "kind": self.kind, "title": self.title, "caption": self.caption,
            "alternative": self.alternative, "width": self.width, "height": self.height, "drawing": self.drawing,
            "payload": dict(self.payload), "whole": self.whole,
        }  # fmt: skip

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Figure":
        """Rebuild the picture from its `document`."""
        return cls(**document)

    def svg(self) -> str:
        """The drawing for a page; its style comes from the page."""
        return self._svg("")

    def svg_file(self) -> bytes:
        """The drawing as a standalone file."""
        return self._svg(_STANDALONE).encode()

    def _repr_html_(self) -> str:
        """Notebook representation."""
        title, caption = escape(self.title), escape(self.caption)
        return f"<figure><h3>{title}</h3>{self._svg(_STANDALONE)}<figcaption>{caption}</figcaption></figure>"

    def payload_json(self) -> str:
        """The data for the script, escaped for a `script` element."""
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


def unpacked(values: Mapping[str, str]) -> np.ndarray:
    """Decode an array encoded by `packed`, float32."""
    return np.frombuffer(base64.b64decode(values["f32"]), "<f4")
