"""Small pieces of HTML: numbers, tables, pictures. Everything that comes from outside is escaped here."""

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any


@dataclass(frozen=True)
class Html:
    """Text that is HTML already; a plain `str` in a cell is escaped."""

    text: str


Cell = str | int | float | Html | None


def number(value: float | None, digits: int = 3) -> str:
    """A number for a reader: `digits` decimals, more where it is small, a dash where it is undefined."""
    if value is None or not math.isfinite(value):
        return "–"
    if value != 0 and abs(value) < 10.0**-digits:
        text = f"{value:.1e}"
    else:
        text = f"{value:,.{digits}f}" if abs(value) < 1000 else f"{value:,.0f}"
    return text.replace("-", "−", 1) if value < 0 else text


def with_interval(entry: Mapping[str, Any]) -> Html:
    """A value with its interval behind it, `0.755 [0.742, 0.768]`."""
    shown = escape(number(entry.get("value")))
    if entry.get("low") is None:
        return Html(shown)
    return Html(f'{shown} <span class="interval">[{number(entry["low"])}, {number(entry["high"])}]</span>')


def with_all_views(entry: Mapping[str, Any]) -> Html:
    """A value with its interval, over its mean over folds, `⌀ 0.60 ± 0.02`, and its mean within sources, `◇ 0.12`.

    Where only the means have a meaning, they stand alone; where nothing is defined, a dash does.
    """
    is_defined, below = entry.get("value") is not None, []
    if "fold_mean" in entry and (is_defined or entry["fold_mean"] is not None):
        deviation = entry.get("fold_sd")
        spread = "" if deviation is None else f" ± {deviation:.3f}"
        below.append(f"⌀ {number(entry['fold_mean'])}{spread}")
    if "source_mean" in entry and (is_defined or entry["source_mean"] is not None):
        below.append(f"◇ {number(entry['source_mean'])}")
    if not below:
        return with_interval(entry)
    notes = "".join(f'<span class="interval">{text}</span>' for text in below)
    return Html(with_interval(entry).text + notes if is_defined else notes)


def table(
    header: Sequence[str], rows: Iterable[Sequence[Cell]], *, caption: str = "", marked: int | None = None
) -> str:
    """An HTML table. Numbers and `Html` cells are right-aligned, as is a header above them.

    Args:
        header: one text per column.
        rows: cells; integers get thousands separators, floats three decimals.
        caption: a sentence above the table.
        marked: index of a row to set off.
    """
    body = [list(row) for row in rows]
    if not body:
        return ""
    numeric = [any(isinstance(row[i], int | float | Html) for row in body) for i in range(len(header))]
    lines = ["<table>", f"<caption>{escape(caption)}</caption>" if caption else "", "<thead><tr>"]
    lines += [f"<th{_class(flag)}>{escape(text)}</th>" for text, flag in zip(header, numeric, strict=True)]
    lines.append("</tr></thead><tbody>")
    for position, row in enumerate(body):
        lines.append('<tr class="model">' if position == marked else "<tr>")
        lines += [f"<td{_class(flag)}>{_cell(cell)}</td>" for cell, flag in zip(row, numeric, strict=True)]
        lines.append("</tr>")
    return "".join([*lines, "</tbody></table>"])


def pairs(entries: Mapping[str, Any], names: tuple[str, str]) -> str:
    """A two-column table of names and values; values as JSON-like text."""
    rows = [(Html(f"<code>{escape(name)}</code>"), plain(value)) for name, value in entries.items()]
    cells = "".join(
        f"<tr><td>{name.text}</td><td><code>{escape(value)}</code></td></tr>" for name, value in rows
    )
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{cells}</tbody></table>" if rows else ""


def plain(value: Any) -> str:
    """A JSON value as a person would write it."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {plain(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(plain(item) for item in value) or "none"
    if value is None:
        return "none"
    if isinstance(value, bool):  # before numbers: True == 1
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


def picture(png: bytes, caption: str, *, whole: bool = False) -> str:
    """A figure with its PNG inside the page: a report is one file."""
    data = base64.b64encode(png).decode("ascii")
    size = ' class="whole"' if whole else ""
    alternative = escape(caption, quote=True)
    return (
        f'<figure{size}><img src="data:image/png;base64,{data}" alt="{alternative}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _class(is_number: bool) -> str:
    return ' class="number"' if is_number else ""


def _cell(cell: Cell) -> str:
    if isinstance(cell, Html):
        return cell.text
    if cell is None or isinstance(cell, float):
        return number(cell)
    return f"{cell:,}" if isinstance(cell, int) else escape(cell)
