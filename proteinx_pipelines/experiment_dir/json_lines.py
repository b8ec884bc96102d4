"""Files of JSON records, one a line, to which is appended: read as far as they are whole."""

import json
from pathlib import Path
from typing import Any


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """The whole records of a file, in order; none when it is not there.

    A line that is still being written, or of which a power loss has kept a part, is left out.
    """
    if not path.is_file():
        return []
    records = []
    lines = path.read_bytes().split(b"\n")[:-1]  # behind the last end of a line is one that is being written
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:  # bytes that are no UTF-8 too
            continue
        if isinstance(record, dict):
            records.append(record)
    return records
