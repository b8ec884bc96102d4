"""Paths that come from flags: confined to WORKDIR and the data roots when a message named them."""

from pathlib import Path

from proteinx_pipelines.files.references import References, refuse_special
from proteinx_pipelines.settings import Settings


def allowed_path(settings: Settings, name: str, text: str | None, *, confined: bool = True) -> Path | None:
    """The file that a flag names, or None when it names none.

    Raises:
        PathNotAllowed: a message's path leads outside WORKDIR and the data roots (an operator's may), or to a pipe,
            a socket or a device.
    """
    if text is None:
        return None
    if not confined:
        path = Path(text).expanduser().resolve()
        refuse_special(path, f"`{name}` {text!r}")
        return path
    return References(settings.workdir, settings.data_roots).resolve(text, name=name)
