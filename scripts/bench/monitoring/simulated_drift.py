"""Made-up weeks of users, whose answers are those of a real artifact to real, changed inputs; judged as a real week is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgeship import api
from edgeship.light_dataclass import dataclass
from edgeship.monitoring.drift.accuracy import calibrate
from edgeship.monitoring.drift.installs import Installs
from edgeship.monitoring.drift.layout import Layout, make_layout
from edgeship.monitoring.profile.classes import describe_answers
from edgeship.monitoring.profile.descriptors import describe_samples
from edgeship.monitoring.profile.profile import Profile, read_profile

Array = np.ndarray[Any, Any]
SHIRT, T_SHIRT = 6, 0
EXPOSURES = {"brightness x0.9": 0.25, "clean": 0.5, "brightness x1.15": 0.25}  # users' own light, without any drift
TIERS = {"low": 0.15, "mid": 0.6, "high": 0.25}


@dataclass(frozen=True)
class Answers:
    """What an artifact answered to n images under each condition: columns (n, H) of a row, estimates and truth (n,)."""

    layout: Layout
    labels: Array
    columns: Mapping[str, Array]
    expected: Mapping[str, Array]
    right: Mapping[str, Array]


@dataclass(frozen=True)
class World:
    """A population: shares of exposures, of classes, and what only a tier sees. `wobble`: the deviation of a week's log shares.

    `renamed`: the share of shirts that are called T-shirts now; `feedback`: of inferences with an outcome.
    """

    exposures: Mapping[str, float]
    classes: tuple[float, ...] = (0.1,) * 10
    wobble: float = 0.0
    of_tier: str = ""
    tier_exposure: str = ""
    renamed: float = 0.0
    feedback: float = 0.0


def change_images(images: Array) -> dict[str, Array]:
    """Images (n, 28, 28, 1) of 0 to 255 under every condition."""
    from scipy import ndimage

    rng = np.random.default_rng(1)
    plain = images.astype(np.float32)
    found = {"clean": plain}
    found |= {f"brightness x{factor}": plain * factor for factor in (0.6, 0.8, 0.9, 1.15)}
    found |= {f"noise sd {sd}": plain + rng.normal(0, sd, plain.shape) for sd in (10, 20, 40)}
    found |= {
        f"rotation {angle}": ndimage.rotate(plain, angle, axes=(1, 2), reshape=False, order=1) for angle in (5, 10)
    }
    found["blur 0.7"] = ndimage.gaussian_filter(plain, (0, 0.7, 0.7, 0))
    return {name: np.clip(np.round(values), 0, 255).astype(np.float32) for name, values in found.items()}


def make_answers(bundle: Path, evaluation: Path, cache: Path | None = None) -> Answers:
    """The answers of a bundle's tflite/int8 to the images of an evaluation.npz; scores are kept in `cache`."""
    profile = read_profile(bundle)
    if profile is None:
        raise SystemExit(f"{bundle}: no profile")
    data = np.load(evaluation)
    changed = change_images(data["image"])
    if cache is None or not cache.is_file():
        with api.open_session(bundle / "tflite" / "int8.tflite") as session:
            scores = {name: _run(session, images) for name, images in changed.items()}
        if cache is not None:
            np.savez(cache, **scores)  # type: ignore[arg-type]
    else:
        scores = dict(np.load(cache))
    return sort_answers(profile, changed, scores, data["y"])


def _run(session: api.Session, images: Array, batch: int = 250) -> Array:
    parts = [
        next(iter(session.run({"image": images[start : start + batch]}).values()))
        for start in range(0, len(images), batch)
    ]
    return np.concatenate(parts)


def sort_answers(profile: Profile, inputs: Mapping[str, Array], scores: Mapping[str, Array], labels: Array) -> Answers:
    """Answers in the bins of a profile with one output of classes and one input."""
    layout, calibration = make_layout(profile), calibrate(profile)
    output, source = profile.outputs[0], profile.inputs[0]
    rates = next(iter(calibration.rates.values()))
    columns, expected, right = {}, {}, {}
    for name, values in scores.items():
        found = describe_answers(values, output)
        described = describe_samples(inputs[name], source)
        confidence = np.searchsorted(output.confidence, found.confidence, side="right")
        places = [
            found.predicted,
            confidence,
            np.searchsorted(output.margin, found.margin, side="right"),
            np.searchsorted(output.entropy, found.entropy, side="right"),
            *(
                np.searchsorted(item.edges, described[:, number], side="right")
                for number, item in enumerate(source.descriptors)
            ),
        ]
        starts = [item.start for item in layout.histograms]
        columns[name] = np.stack([place + start for place, start in zip(places, starts, strict=False)], axis=1)
        expected[name] = rates[found.predicted * (len(output.confidence) + 1) + confidence]
        right[name] = found.predicted == labels
    return Answers(layout, labels, columns, expected, right)


class Field:
    """Users who come and go, each with a taste, an exposure and a tier of its own; `stay`: who is there next week.

    Tastes are Dirichlet with 10 times the population's shares, so that these are their mean, drawn by the quantile: who stays
    keeps the place among all when the shares change. With `stay` 0 all are new. Each makes `inferences` a week, or with `varied`
    a geometric number with that mean.
    """

    def __init__(
        self, answers: Answers, size: int, seed: int, *, stay: float = 0.0, inferences: int = 20, varied: bool = False
    ) -> None:
        self.answers, self.size, self.stay, self.inferences, self.varied = answers, size, stay, inferences, varied
        self.rng = np.random.default_rng(seed)
        self.by_class = [np.flatnonzero(answers.labels == number) for number in range(10)]
        self.draws = self.rng.random((0, 12))
        self.ids = np.zeros(0, dtype=np.int64)
        self.made = 0

    def week(self, world: World) -> Installs:
        """The reports of a week."""
        from scipy.special import gammaincinv

        self._renew()
        rng, size, answers = self.rng, self.size, self.answers
        shares = np.asarray(world.classes) * np.exp(rng.normal(0, world.wobble, 10))
        taste = gammaincinv(10 * shares / shares.sum(), self.draws[:, :10]) + 1e-12
        exposures = list(world.exposures)
        exposure = np.searchsorted(np.cumsum(list(world.exposures.values())), self.draws[:, 10], side="right")
        exposure = np.minimum(exposure, len(exposures) - 1)
        tiers = list(TIERS)
        tier = np.minimum(np.searchsorted(np.cumsum(list(TIERS.values())), self.draws[:, 11]), len(tiers) - 1)
        count = rng.geometric(1 / self.inferences, size) if self.varied else np.full(size, self.inferences)
        user = np.repeat(np.arange(size), count)
        cumulated = (taste / taste.sum(axis=1, keepdims=True)).cumsum(axis=1)[user]
        classes = np.minimum((rng.random(len(user))[:, None] > cumulated).sum(axis=1), 9)
        chosen = np.empty(len(user), dtype=np.int64)
        for number, images in enumerate(self.by_class):
            of_class = classes == number
            chosen[of_class] = rng.choice(images, int(of_class.sum()))
        names = np.array([*exposures, world.tier_exposure])[
            np.where(np.array(tiers)[tier] == world.of_tier, len(exposures), exposure)
        ][user]
        columns, expected, right = self._look_up(names, chosen, answers)
        renamed = (classes == SHIRT) & (rng.random(len(user)) < world.renamed)
        right = np.where(renamed, columns[:, 0] == T_SHIRT, right)
        told = rng.random(len(user)) < world.feedback
        counts = np.zeros((size, answers.layout.width))
        np.add.at(counts, (np.repeat(user, columns.shape[1]), columns.ravel()), 1.0)
        events = {
            f"outcome {name}": np.bincount(user, told & which, size).astype(float)
            for name, which in (("accepted", right), ("corrected", ~right))
            if world.feedback
        }
        return Installs(
            tuple(map(str, self.ids)), counts, count.astype(float), np.bincount(user, expected, size), events,
            {"tier": tuple(tiers[place] for place in tier)},
        )  # fmt: skip

    def _renew(self) -> None:
        staying = self.rng.random(len(self.ids)) < self.stay
        new = self.size - int(staying.sum())
        fresh = self.rng.random((new, 12))
        self.draws = np.concatenate([self.draws[staying], fresh]) if len(self.ids) else fresh
        self.ids = np.concatenate([self.ids[staying], np.arange(self.made, self.made + new)])
        self.made += new

    @staticmethod
    def _look_up(names: Array, chosen: Array, answers: Answers) -> tuple[Array, Array, Array]:
        first = next(iter(answers.columns.values()))
        columns = np.empty((len(chosen), first.shape[1]), dtype=np.int64)
        expected, right = np.empty(len(chosen)), np.empty(len(chosen), dtype=bool)
        for name in np.unique(names):
            here = names == name
            columns[here] = answers.columns[name][chosen[here]]
            expected[here] = answers.expected[name][chosen[here]]
            right[here] = answers.right[name][chosen[here]]
        return columns, expected, right
