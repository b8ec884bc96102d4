"""The documentation beside the package: where it is, and how it is shown without a network.

A wheel has it below `documentation/` of the package (`setup.py` puts it there), a clone at its root. The built site is
`site/`; without it, Markdown pages are drawn as plain HTML.
"""

import tempfile
from pathlib import Path

from proteinx_pipelines.documents.drawing import draw
from proteinx_pipelines.documents.places import page_names, root
from proteinx_pipelines.errors import InputError, MissingFile
from proteinx_pipelines.nearest import nearest


def page_address(name: str | None = None) -> tuple[str, str]:
    """The address of a page, drawn first where no site was built.

    Args:
        name: of the page, such as `flags`, `howto/split`, `README`; the list of all pages when None.

    Returns:
        Path of the page below the documentation's folder, and a `file:` address.

    Raises:
        MissingFile: the documentation is not there.
        InputError: there is no such page; the message names the nearest.
    """
    base = root()
    if base is None:
        raise MissingFile(
            "The documentation is not in this installation: install the wheel, or work in a clone."
        )
    names = page_names(base)
    wanted = _known(name, names) if name else "docs/index.md"
    built = _built(base / "site", wanted)
    if built is not None:
        return wanted, built.as_uri()
    folder = Path(tempfile.mkdtemp(prefix="proteinx-docs-"))
    draw(base, names, folder)
    return wanted, (folder / wanted).with_suffix(".html").as_uri()


def _built(site: Path, wanted: str) -> Path | None:
    """The page in the built site; None where there is no site, or the page is not of `docs/`."""
    page = (
        site / Path(wanted).relative_to("docs").with_suffix(".html") if wanted.startswith("docs/") else None
    )
    return page if page is not None and page.is_file() else None


def _known(name: str, names: list[str]) -> str:
    plain = name.removesuffix(".md").strip("/")
    for each in (f"docs/{plain}.md", f"{plain}.md"):
        if each in names:
            return each
    by_stem = [each for each in names if Path(each).stem.lower() == plain.lower()]
    if by_stem:
        return by_stem[0]
    known = [each.removeprefix("docs/").removesuffix(".md") for each in names]
    like = nearest(plain, known, 3, cutoff=0.4)
    raise InputError(
        f"There is no page {name[:100]!r}. "
        + (f"Did you mean {', '.join(like)}?" if like else "`proteinx docs` opens the list of all pages.")
    )
