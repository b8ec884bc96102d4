"""Rules of a campaign: how the next plate is chosen from what is measured. And the protocol that all rules follow."""

from dataclasses import asdict, dataclass
from typing import Any

from proteinx_pipelines.campaign import CAMPAIGN_VERSION
from proteinx_pipelines.campaign.landscape import ONE_HOT, OWN
from proteinx_pipelines.errors import FlagError
from proteinx_pipelines.flags.embedding import EmbeddingFlags
from proteinx_pipelines.flags.model import ModelFlags
from proteinx_pipelines.flags.train import TrainFlags
from proteinx_pipelines.flags.tree import ExperimentFlags, sha256_of

RANDOM, GREEDY, ADDITIVE = "random", "greedy", "additive"
BASELINES = (RANDOM, ADDITIVE, GREEDY)


@dataclass(frozen=True)
class Protocol:
    """What every rule of a simulation has in common."""

    start: int
    """Variants measured before the first choice."""
    rounds: int
    batch: int
    """Variants chosen in each round."""
    start_from: str = "all"
    """Variants that the start is drawn from: `all`, or `singles` (then only multiple mutants are chosen later)."""

    @property
    def measured(self) -> tuple[int, ...]:
        """Variants measured after the start and after each round."""
        return tuple(self.start + self.batch * k for k in range(self.rounds + 1))


@dataclass(frozen=True)
class Rule:
    """One way to choose plates."""

    name: str
    flags: ExperimentFlags | None
    """`embedding.*`, `model.*`, `train.*` and `design.*`; None chooses at random."""
    representation: str = OWN

    def key(self, landscape: str, protocol: Protocol) -> str:
        """SHA-256 of everything that its campaigns depend on but the seed; `landscape` is a digest."""
        groups = ("embedding", "model", "train", "trainer", "design")
        flags = None if self.flags is None else dict(self.flags.groups(groups))
        return sha256_of(
            {"version": CAMPAIGN_VERSION, "landscape": landscape, "protocol": asdict(protocol), "flags": flags,
             "representation": self.representation}
        )  # fmt: skip

    def document(self) -> dict[str, Any]:
        """Model, representation and acquisition, for people."""
        if self.flags is None:
            return {"model": None, "embedding": None, "acquisition": RANDOM, "beta": None, "diversity": None}
        design = self.flags.design
        return {
            "model": self.flags.model.name, "embedding": self.flags.embedding.name, "acquisition": design.acquisition,
            "beta": design.beta if design.acquisition == "ucb" else None, "diversity": design.diversity,
        }  # fmt: skip


def rules_of(flags: ExperimentFlags, acquisitions: tuple[str, ...] = ()) -> list[Rule]:
    """The rules to compare: one per acquisition, then the baselines.

    Args:
        flags: of the rule; the first acquisition is `design.acquisition` when none is given.
        acquisitions: further values of `design.acquisition`.

    Raises:
        FlagError: an acquisition is unknown.
    """
    wanted = dict.fromkeys(acquisitions or (flags.design.acquisition,))
    rules = [Rule(name, _choosing(flags, acquisition=name)) for name in wanted]
    # Baselines have no deviations: a ridge has none, and by `greedy` those of the model are judged.
    without: dict[str, Any] = {"acquisition": GREEDY, "explore": 0.0}
    if flags.design.batching == "liar":
        without["batching"] = "penalties"
    if GREEDY not in wanted:
        rules.append(Rule(GREEDY, _choosing(flags, **without)))
    additive = flags.model_copy(
        update={"embedding": EmbeddingFlags(), "model": ModelFlags(name="ridge"), "train": TrainFlags()}
    )
    rules.append(Rule(ADDITIVE, _choosing(additive, **without), ONE_HOT))
    return [*rules, Rule(RANDOM, None)]


def _choosing(flags: ExperimentFlags, **changed: Any) -> ExperimentFlags:
    design = flags.design.model_copy(update={**changed, "library": None, "path": None})
    return flags.model_copy(update={"design": design})


def check_protocol(protocol: Protocol, n: int, n_singles: int) -> None:
    """Compare a protocol with a landscape of n variants.

    Raises:
        FlagError: more variants are asked for than there are; all problems at once.
    """
    problems = []
    if protocol.start_from == "singles" and protocol.start > n_singles:
        problems.append(
            f"--start {protocol.start}: the landscape has {n_singles:,} single mutants to start from; take fewer."
        )
    left = n if protocol.start_from == "all" else n - n_singles + min(protocol.start, n_singles)
    if protocol.measured[-1] > left:
        problems.append(
            f"--start {protocol.start} and {protocol.rounds} rounds of {protocol.batch} measure "
            f"{protocol.measured[-1]:,} variants, the landscape has {left:,}. Take fewer rounds or smaller batches."
        )
    if problems:
        raise FlagError(problems)
