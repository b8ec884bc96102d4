"""Where the documentation is, and which pages it has."""

from pathlib import Path

PATTERNS = (
    "*.md",
    "docs/**/*.md",
    "examples/**/*.md",
    "client_wheel/README.md",
    "proteinx_pipelines/demo/data/README.md",
)
"""Markdown pages, below the root; `setup.py` packs the same."""
_PACKAGE = Path(__file__).resolve().parents[1]


def root() -> Path | None:
    """The folder that has `docs/`: in the package, or the clone around it; None where there is neither."""
    found = (
        place
        for place in (_PACKAGE / "documentation", _PACKAGE.parent)
        if (place / "docs" / "index.md").is_file()
    )
    return next(found, None)


def page_names(base: Path) -> list[str]:
    """Paths of all pages below the root, sorted."""
    pages = {path for pattern in PATTERNS for path in base.glob(pattern)}
    return sorted(path.relative_to(base).as_posix() for path in pages)
