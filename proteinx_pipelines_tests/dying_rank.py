"""A rank of a distributed training that is killed at its third epoch, the first time.

python -m proteinx_pipelines_tests.dying_rank HOST:PORT MARK      lends this machine, with such ranks
python -m proteinx_pipelines_tests.dying_rank SPEC                 one rank
"""

import os
import signal
import sys
from pathlib import Path

MARK = "PROTEINX_TEST_MARK"


def main() -> int:
    """Lend, or be a rank."""
    if len(sys.argv) == 3:
        from proteinx_pipelines.stages.train import ddp_launch
        from proteinx_pipelines.stages.train.lending import lend
        from proteinx_pipelines.stages.train.meeting import Place

        os.environ[MARK] = sys.argv[2]
        ddp_launch.MODULE = "proteinx_pipelines_tests.dying_rank"
        lend(Place.of(sys.argv[1]), lambda _text: None)
        return 0
    from proteinx_pipelines.stages.train import ddp_process
    from proteinx_pipelines.stages.train.datamodule import EpochOrder

    set_epoch = EpochOrder.set_epoch

    def dies(self: EpochOrder, epoch: int) -> None:
        mark = Path(os.environ[MARK])
        if epoch == 2 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        set_epoch(self, epoch)

    EpochOrder.set_epoch = dies  # type: ignore[method-assign]
    return ddp_process.main(Path(sys.argv[1]))


if __name__ == "__main__":
    sys.exit(main())
