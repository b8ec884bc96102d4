"""Guards off: a re-delivered task is executed again, even if its attempt is over."""

from proteinx_pipelines.ledger.ledger import Ledger

Ledger.claim_steps = lambda *_: True


def switch_off():
    from proteinx_pipelines.defs import tasks

    tasks.attempt_is_current = lambda _run: True
