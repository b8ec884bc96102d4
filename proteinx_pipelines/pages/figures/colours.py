"""Colours that colour-blind readers can tell apart, and small images of coloured cells.

Source: categories of Okabe and Ito (2008, Color Universal Design); the diverging scale is ColorBrewer's RdBu
(Brewer 2003), blue for above the middle; the sequential one is even in lightness.
"""

import base64
import struct
import zlib

import numpy as np

PARTS = {"train": "#7d8797", "val": "#E69F00", "test": "#0072B2", "all": "#0072B2"}
CATEGORIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7d8797")
DIVERGING = ("#b2182b", "#ef8a62", "#fddbc7", "#f7f7f7", "#d1e5f0", "#67a9cf", "#2166ac")
SEQUENTIAL = ("#dbe9f6", "#9dc6e6", "#5a9fd0", "#2470b3", "#0b3d70")


def coloured(
    values: np.ndarray, low: float, middle: float, high: float, stops: tuple[str, ...]
) -> np.ndarray:
    """uint8 [..., 4] of `values` (float64 [...]), transparent where they are not finite.

    `middle` gets the colour in the middle of `stops`; values outside `low` to `high` get the end colours.
    """
    palette = np.array([[int(stop[k : k + 2], 16) for k in (1, 3, 5)] for stop in stops], dtype=np.float64)
    places = np.linspace(0, 1, len(stops))
    finite = np.isfinite(values)
    safe = np.where(finite, values, middle)
    below = (safe - low) / ((middle - low) or 1.0) * 0.5
    above = 0.5 + (safe - middle) / ((high - middle) or 1.0) * 0.5
    at = np.clip(np.where(safe < middle, below, above), 0, 1)
    channels = [np.interp(at, places, palette[:, k]) for k in range(3)]
    return np.stack([*np.rint(channels), np.where(finite, 255, 0)], axis=-1).astype(np.uint8)


def png_address(pixels: np.ndarray) -> str:
    """uint8 [rows, columns, 4] encoded as a `data:` URL of a PNG, one pixel per cell."""
    rows, columns = pixels.shape[:2]
    lines = np.concatenate([np.zeros((rows, 1), np.uint8), pixels.reshape(rows, -1)], axis=1)
    header = struct.pack(">IIBBBBB", columns, rows, 8, 6, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b"")
    body = b"".join(
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        for name, content in chunks
    )
    return "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + body).decode("ascii")


def image(address: str, x: float, y: float, width: float, height: float) -> str:
    """An SVG image whose pixels stay sharp squares when scaled."""
    return (
        f'<image href="{address}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" '
        'preserveAspectRatio="none" image-rendering="pixelated"/>'
    )
