"""A file that another process removes between a listing and the next look."""

import os
from pathlib import Path

import pytest


def vanishing(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """Remove the file as soon as it has been looked at once."""
    look = Path.stat

    def stat(self: Path, **options: bool) -> os.stat_result:
        found = look(self, **options)
        if self == path:
            path.unlink()
        return found

    monkeypatch.setattr(Path, "stat", stat)
