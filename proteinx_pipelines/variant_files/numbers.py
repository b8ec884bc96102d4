"""Read columns of measurements: words for "not measured", decimal commas, units, percent, `1.3 ± 0.2`.

A value that is not a number stays a problem of its row; a column in two units is a problem of the file.
"""

import re
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proteinx_pipelines.errors import CatalogError
from proteinx_pipelines.variant_files.text_table import as_text

MISSING_WORDS = (
    "", "na", "nan", "n/a", "#n/a", "#na", "<na>", "null", "none", "nil", "-", "--", "—", ".", "?", "nd", "n.d.", "n.d",
    "not determined", "not measured", "missing", "#value!", "#div/0!",
)  # fmt: skip
"""Texts for "not measured", in any case."""
_PLAIN = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_VALUE = re.compile(
    r"(?P<number>[+-]?(?:[0-9][0-9.,' ]*|[.,][0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"(?:\s*(?:±|\+/-|\+-)\s*(?P<error>[0-9.,]+(?:[eE][+-]?[0-9]+)?))?\s*(?P<unit>[^\s0-9+\-.,].*)?"
)
_SHOWN = 5


@dataclass
class Numbers:
    """A column as numbers."""

    values: np.ndarray
    """float64 [n], NaN where nothing was measured or the cell could not be read."""
    bad: np.ndarray
    """bool [n]: cells that are neither a number nor a word for "not measured"."""
    errors: np.ndarray | None = None
    """float64 [n], values after `±`."""
    facts: dict[str, str] = field(default_factory=dict)
    """Decimal comma, unit."""


def read_numbers(column: pa.Array, name: str, decimal: str | None = None) -> Numbers:
    """Read a column of n cells.

    Args:
        column: texts or numbers.
        name: name of the column, for messages.
        decimal: `.` or `,`; None: inferred from the cells.

    Raises:
        CatalogError: the cells are in two units, or their commas could be both decimals and thousands.
    """
    if pa.types.is_boolean(column.type):
        return Numbers(
            np.full(len(column), np.nan), np.asarray(column.is_valid().to_numpy(zero_copy_only=False))
        )
    if any(
        test(column.type)
        for test in (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_null)
    ):
        values = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
        return Numbers(np.asarray(values), np.asarray(np.isinf(values)))
    text = pc.utf8_trim_whitespace(as_text(column))
    text = pc.replace_substring(pc.replace_substring(text, "−", "-"), "\u00a0", " ")
    missing = pc.is_in(pc.utf8_lower(text), pa.array(MISSING_WORDS, text.type))
    text = pc.if_else(missing, pa.scalar(None, text.type), text)
    is_plain = pc.match_substring_regex(text, _PLAIN).fill_null(True)
    others = np.flatnonzero(~np.asarray(is_plain))
    values = pc.utf8_ltrim(pc.if_else(is_plain, text, pa.scalar(None, text.type)), "+").cast(pa.float64())
    numbers = Numbers(np.array(values.to_numpy(zero_copy_only=False)), np.zeros(len(column), bool))
    if len(others):
        _read_others(numbers, text, others, name, decimal)
    if decimal == "," and len(others) < len(text):
        numbers.facts.setdefault("decimal mark", ",")
    numbers.bad |= np.isinf(numbers.values)
    return numbers


def _read_others(
    numbers: Numbers, text: pa.Array, places: np.ndarray, name: str, decimal: str | None
) -> None:
    """Read cells that are more than a number with a decimal point."""
    matches = {int(k): _VALUE.fullmatch(text[int(k)].as_py()) for k in places}
    written = [match["number"] for match in matches.values() if match]
    mark = decimal or _decimal_mark(written, name)
    units: Counter[str] = Counter()
    errors = np.full(len(text), np.nan)
    for place, match in matches.items():
        value = _number(match["number"], mark) if match else None
        error = _number(match["error"], mark) if match and match["error"] else None
        if match is None or value is None:
            numbers.bad[place] = True
            continue
        numbers.values[place] = value
        units[(match["unit"] or "").strip()] += 1
        if error is not None:
            errors[place] = error
    if any("," in number for number in written) and mark == ",":
        numbers.facts["decimal mark"] = ","
    if np.isfinite(errors).any():
        numbers.errors = errors
    _check_units(numbers, units, name, len(text) - len(places))


def _check_units(numbers: Numbers, units: Counter[str], name: str, n_plain: int) -> None:
    found = [unit for unit in units if unit]
    if len(found) > 1 and not any(units[unit] > 0.5 * units.total() for unit in found):
        listed = ", ".join(f"{unit!r} ({units[unit]:,})" for unit in found[:_SHOWN])
        raise CatalogError(f"the column {name!r} is in {len(found)} units: {listed}. Bring it to one.")
    if len(found) > 1 or (found and len(found[0]) > 20):
        return  # words after numbers: each such cell is a problem of its row, found below
    if found:
        numbers.facts["unit"] = found[0]
        bare = units[""] + n_plain - int(np.isnan(numbers.values).sum())
        if found[0] == "%" and bare > 0 and n_plain > 0 and np.isfinite(numbers.values).any():
            numbers.facts["unit"] = f"{found[0]} ({bare:,} cells have none)"


def _decimal_mark(written: list[str], name: str) -> str:
    """Decide what a comma means in the numbers that contain one."""
    with_comma = [number for number in written if "," in number]
    if not with_comma:
        return "."
    both = [number for number in with_comma if "." in number]
    if both:
        return "," if all(number.rindex(",") > number.rindex(".") for number in both) else "."
    as_thousands = [re.fullmatch(r"[+-]?[1-9][0-9]{0,2}(,[0-9]{3})+", number) for number in with_comma]
    if not all(as_thousands):
        return "." if all(number.count(",") > 1 for number in with_comma) else ","
    if all(number.count(",") > 1 for number in with_comma):
        return "."
    raise CatalogError(
        f"the column {name!r} has numbers like {with_comma[0]!r}: its comma could mark decimals or thousands. "
        "Say which: --decimal , or --decimal ."
    )


def _number(text: str, mark: str) -> float | None:
    cleaned = re.sub(r"['\s]", "", text)
    thousands = "." if mark == "," else ","
    if thousands in cleaned:
        if not re.fullmatch(rf"[+-]?[0-9]{{1,3}}(\{thousands}[0-9]{{3}})+(\{mark}[0-9]*)?", cleaned):
            if not (mark == "," and cleaned.count(".") == 1 and "," not in cleaned):
                return None
            return _as_float(cleaned)
        cleaned = cleaned.replace(thousands, "")
    return _as_float(cleaned.replace(mark, "."))


def _as_float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
