"""Record the outputs of the stages on the frozen inputs.

    python -m proteinx_pipelines_tests.frozen.record [STAGE ...]

Refuses to record a changed output under an unchanged version: that is the mistake which this guards against. `--anyway`
is for a case that was itself wrong, or for a stage whose old results nobody has.
"""

import argparse
import tempfile
from functools import cache
from pathlib import Path

from proteinx_pipelines.execution.stages import COMPUTATIONS
from proteinx_pipelines.pipeline.stages import always_made
from proteinx_pipelines_tests.frozen import recorded
from proteinx_pipelines_tests.frozen.cases import FLAGS, TOLERANCES, Workplace, differences, output
from proteinx_pipelines_tests.frozen.inputs import write_checkpoint

STAGES = always_made()


def main() -> None:
    """Record the stages that were named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stages", nargs="*", help="stages; all when none is named")
    parser.add_argument("--anyway", action="store_true", help="record changed outputs under the same version")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        weights = cache(lambda: write_checkpoint(Path(folder) / "esm2_t6_8M_UR50D.pt"))
        for stage in options.stages or STAGES:
            record(stage, Workplace(Path(folder), weights), anyway=options.anyway)


def record(stage: str, place: Workplace, *, anyway: bool) -> None:
    """Record one stage."""
    before, version = recorded.read(stage), COMPUTATIONS[stage].version
    cases = {name: output(stage, name, place) for name in FLAGS[stage]}
    for name, known in before["cases"].items():
        changed = name in cases and list(differences(known, cases[name], TOLERANCES[stage]))
        if changed and before["version"] == version and not anyway:
            raise SystemExit(
                f"{stage}, {name!r}: {changed[0]}. The version is still {version!r}: bump "
                f"{stage.upper()}_VERSION in {COMPUTATIONS[stage].module} first."
            )
    recorded.write(stage, version, cases)
    print(f"{stage}: {len(cases)} cases of version {version}")  # noqa: T201  # the command's answer


if __name__ == "__main__":
    main()
