"""Energy that the machine's processors used, from Linux' counters (RAPL), where they can be read.

Most systems let only root read them; without them the energy is unknown, not 0. The counters include all other work on
the machine.
"""

from collections.abc import Mapping
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")


class CpuEnergy:
    """Joules since it was made; looked at often enough, no turn of a counter is missed (they hold minutes)."""

    def __init__(self, root: Path = POWERCAP) -> None:
        self._packages = sorted(root.glob("intel-rapl:[0-9]"))  # AMD's counters have the same name
        self._last = self._read()
        self._joules = 0.0

    def look(self) -> None:
        """Take one sample."""
        now = self._read()
        for package, before in self._last.items():
            if package in now:
                used = now[package] - before
                self._joules += (used if used >= 0 else used + _range(package)) / 1e6
        self._last = now

    @property
    def joules(self) -> float | None:
        """Joules so far; None where the machine does not tell."""
        return round(self._joules, 3) if self._last else None

    def _read(self) -> Mapping[Path, int]:
        found = {}
        for package in self._packages:
            try:
                found[package] = int((package / "energy_uj").read_text(encoding="ascii"))
            except (OSError, ValueError):
                continue
        return found


def _range(package: Path) -> int:
    try:
        return int((package / "max_energy_range_uj").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0
