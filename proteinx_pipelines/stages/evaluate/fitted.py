"""Leakage check `fitted_on_test`: a model's target scaling must follow from its training rows alone.

Models never receive test targets (they are NaN during fitting). The scaling of targets is the remaining path: it is
stored in the exported model and can be recomputed from the training rows.
"""

import numpy as np

from proteinx_pipelines.errors import LeakageFound
from proteinx_pipelines.flags.split import SplitFlags
from proteinx_pipelines.records import Fold
from proteinx_pipelines.stages.train.export import FittedModel
from proteinx_pipelines.stages.train.targets import fit_scaling

CHECK = "fitted_on_test"
_RELATIVE = 1e-6


def refuse_fitted_on_test(
    model: FittedModel, target: np.ndarray, fold: Fold, number: int, flags: SplitFlags
) -> None:
    """Compare a model's target scaling with one refitted on its fold's training rows.

    Args:
        model: of that fold.
        target: float64 [N], of all rows.
        fold: its rows.
        number: the fold's number, for the message.
        flags: `allow_leakage` may switch the check off.

    Raises:
        LeakageFound: the scalings differ, so rows other than the training rows were used.
    """
    if any(entry.check == CHECK for entry in flags.allow_leakage):
        return
    found, expected = model.scaling, fit_scaling(model.scaling.method, target[fold.train])
    spread = max(abs(expected.deviation), abs(expected.mean), 1e-300)
    apart = max(abs(found.mean - expected.mean), abs(found.deviation - expected.deviation))
    if apart > _RELATIVE * spread:
        raise LeakageFound(
            f"{CHECK}: the targets of fold {number}'s model were scaled with mean {found.mean:.6g} and deviation "
            f"{found.deviation:.6g}, and its training rows have {expected.mean:.6g} and {expected.deviation:.6g}: "
            "other rows were used too. Run the train stage again, or accept it by name in `split.allow_leakage`."
        )
