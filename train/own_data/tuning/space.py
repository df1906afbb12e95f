"""What a search may choose: the size of the network, and rate, decay and batch of its training, by the kind of network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from edgeship.light_dataclass import dataclass
from edgeship.train.own_data.configuration import Configuration, NetworkSize, Plan, SizeRange

RATES = (3e-4, 1e-2)
DECAYS = (1e-6, 0.3)
BATCHES = 4  # times more or less than usual
LEAST_BATCH, MOST_BATCH = 8, 1024


@dataclass(frozen=True)
class Range:
    """From `low` to `high`; `log`: evenly by ratio; `whole`: integers."""

    low: float
    high: float
    log: bool = False
    whole: bool = False


def list_ranges(sizes: SizeRange, plan: Plan) -> dict[str, Range]:
    """What is chosen, by name."""
    least, most = max(LEAST_BATCH, plan.batch // BATCHES), min(MOST_BATCH, plan.batch * BATCHES)
    bins = {"bins": Range(*sizes.bins, whole=True)} if sizes.bins[1] else {}
    return {
        "width": Range(*sizes.widths, log=True),
        "depth": Range(*sizes.depths, whole=True),
        "dropout": Range(*sizes.dropouts),
        **bins,
        "learning_rate": Range(*RATES, log=True),
        "weight_decay": Range(*DECAYS, log=True),
        "batch": Range(least, most, log=True, whole=True),
    }


def usual_values(sizes: SizeRange, plan: Plan) -> dict[str, float]:
    """The values of the configuration that is trained without tuning."""
    usual = sizes.usual
    return {
        "width": usual.width,
        "depth": usual.depth,
        "dropout": usual.dropout,
        **({"bins": usual.bins} if sizes.bins[1] else {}),
        "learning_rate": plan.peak,
        "weight_decay": plan.weight_decay,
        "batch": plan.batch,
    }


def read_configuration(values: Mapping[str, float], plan: Plan) -> Configuration:
    """The configuration of some values; what they do not say is as in `plan`."""
    size = NetworkSize(values["width"], int(values["depth"]), values["dropout"], int(values.get("bins", 0)))
    changed = replace(
        plan, batch=int(values["batch"]), peak=values["learning_rate"], weight_decay=values["weight_decay"]
    )
    return Configuration(size, changed)
