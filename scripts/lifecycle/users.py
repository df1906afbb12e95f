"""Users who differ: each with a taste for some classes, an exposure, and a number of inferences of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeship.light_dataclass import dataclass

Array = NDArray[Any]
EXPOSURES = (0.9, 1.0, 1.15)


@dataclass(frozen=True)
class User:
    """`taste` (classes,): how often the user meets each class; `exposure`: what the numbers of its inputs are multiplied by.

    `habit`: inferences a week, on average.
    """

    taste: Array
    exposure: float
    habit: float


def draw_users(
    count: int, classes: int, *, habit: float = 20.0, seed: int = 0, exposures: Sequence[float] = EXPOSURES
) -> list[User]:
    """So many users: tastes from Dirichlet(1), one of the exposures, habits that differ by a factor of two."""
    chance = np.random.default_rng((seed, 7))
    return [
        User(
            chance.dirichlet(np.ones(classes)),
            float(chance.choice(exposures)),
            habit * float(2 ** chance.uniform(-1, 1)),
        )
        for _ in range(count)
    ]


def meet_samples(
    user: User, inputs: Mapping[str, Array], labels: Array, chance: np.random.Generator
) -> tuple[dict[str, Array], Array]:
    """What a user meets in a week, at least one sample: the inputs (n, ...) by name, with its exposure, and the labels (n,)."""
    weight = user.taste[labels] / np.bincount(labels, minlength=len(user.taste))[labels]
    number = 1 + chance.poisson(max(user.habit - 1, 0))
    chosen = chance.choice(len(labels), number, p=weight / weight.sum())
    return {name: values[chosen] * np.float32(user.exposure) for name, values in inputs.items()}, labels[chosen]


def add_noise(inputs: Mapping[str, Array], chance: np.random.Generator, *, deviation: float) -> dict[str, Array]:
    """Inputs with Gaussian noise of so many of each one's own standard deviations."""
    return {
        name: (values + chance.normal(0, deviation * float(values.std()), values.shape)).astype(np.float32)
        for name, values in inputs.items()
    }


def darken_and_tilt(
    inputs: Mapping[str, Array], chance: np.random.Generator, *, brightness: float = 0.6, degrees: float = 15.0
) -> dict[str, Array]:
    """Pictures (n, height, width, channels) that are darker, and tilted by up to so many degrees to one side."""
    from scipy import ndimage

    found = {}
    for name, values in inputs.items():
        angles = chance.uniform(degrees / 2, degrees, len(values))
        turned = [
            ndimage.rotate(one, angle, axes=(0, 1), reshape=False, order=1)
            for one, angle in zip(values, angles, strict=True)
        ]
        found[name] = (np.stack(turned) * np.float32(brightness)).astype(np.float32)
    return found
