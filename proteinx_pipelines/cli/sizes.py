"""Byte counts in readable form."""

_UNITS = ("B", "kB", "MB", "GB", "TB")


def size_text(n_bytes: float) -> str:
    """`0 B`, `12.3 kB`, `1.5 GB`: powers of 1000."""
    for unit in _UNITS[:-1]:
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}" if unit == "B" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} {_UNITS[-1]}"
