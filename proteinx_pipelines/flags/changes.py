"""The flags in which two sets differ, in words."""

import json
from collections.abc import Mapping
from typing import Any

from proteinx_pipelines.flags.tree import canonical_json


def changed_flags(before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Sentences that name each flag that differs: "`split.method` changed from random to modulo".

    Args:
        before: nested flags, defaults written out.
        after: the same of the other side.
        prefix: dotted name of the group that both are, with a dot at its end.
    """
    found: list[str] = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += changed_flags(old, new, f"{prefix}{name}.")
        elif canonical_json(old) != canonical_json(new):
            found.append(f"`{prefix}{name}` changed from {_plain(old)} to {_plain(new)}")
    return found


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
