"""The part of `doctor` that tries the shared store."""

from collections.abc import Iterator

from proteinx_pipelines.errors import BackendError, CorruptArtifact
from proteinx_pipelines.files.shared.outgoing import Outgoing
from proteinx_pipelines.files.shared.probing import probe
from proteinx_pipelines.files.shared.store import shared_store
from proteinx_pipelines.node.lifecycle.finding import OK, WARNING, WRONG, Finding
from proteinx_pipelines.redaction import redact
from proteinx_pipelines.settings import Settings

MANY = 1_000
"""Number of waiting things above which sending is behind."""
_TO_DO = "Experiments run without it. Check its address, the credentials in the environment and the network."


def check_shared_store(settings: Settings) -> Iterator[Finding]:
    """Write, read and remove a probe; name what waits to be sent. Nothing where no store is configured."""
    if settings.store is None:
        return
    try:
        store = shared_store(settings)
        assert store is not None
        seconds = probe(store.blobs)
    except CorruptArtifact as error:
        yield Finding("store", WRONG, f"{settings.store}: {error} Use another one.")
        return
    except (BackendError, ValueError) as error:
        yield Finding("store", WARNING, redact(f"{settings.store} cannot be used: {error} {_TO_DO}"))
        return
    yield Finding("store", OK, f"{settings.store} answers in {1000 * seconds / 3:.0f} ms")
    waiting = sum(Outgoing(settings.paths.outgoing_dir).counts().values())
    if waiting > MANY:
        text = f"{waiting:,} things wait to be sent. The agent sends them, or `proteinx store push` does."
        yield Finding("store", WARNING, text)
