"""Teaching a bundle's last layer from corrected answers, with the client that a device has."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgeship.api.bundles import AnyBundle, AnyPath, open_bundle
from edgeship.api.files import Data, MemoryFiles
from edgeship.light_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgeship.client.learning import HeadLearner, LearnResult
    from edgeship.data import Array, Batch

NOT_PREPARED = (
    "cannot learn on a device, as it has no learning/; `edgeship convert MODEL --head-step` makes one that can"
)
READ = 256


@dataclass(frozen=True)
class Teaching:
    """What came of teaching: the `result` of learning (None where nothing was to be learned), and what is in `state` now.

    `samples` corrected samples are kept; `has_learned`: whether a learned head answers. `test_*`: the quality on test data, where
    some was given, of the shipped head and of the one that answers now.
    """

    state: Path
    samples: int
    has_learned: bool
    result: LearnResult | None = None
    test_shipped: float | None = None
    test_now: float | None = None


def teach_bundle(
    bundle: AnyBundle,
    *,
    data: Data | None = None,
    state: AnyPath | None = None,
    base: str | None = None,
    rate: float | None = None,
    passes: int | None = None,
    limit: float | None = None,
    test: Data | None = None,
    forget: bool = False,
) -> Teaching:
    """Teach the last layer of a bundle that was made with `head_step`: collect corrected samples, learn, keep what is no worse.

    `data`: inputs and the right answers `y`, added to those in `state` (default: BUNDLE-learned beside the bundle). `base`: which
    form of the rest of the model is used, as tflite/int8. `rate`, `passes`, `limit`: as `edgeship.client.learning.LearnSettings`.
    `test`: labelled data to tell before and after of. `forget` deletes what was learned first. Raises InputError for a bundle
    that is not prepared, for data that does not fit, and where there is nothing to learn from.
    """
    from dataclasses import replace

    from edgeship.client.learning import HeadLearner, LearnSettings
    from edgeship.client.outcome import ClientError
    from edgeship.errors import InputError
    from edgeship.untrusted import printable

    source = open_bundle(bundle)
    if source.manifest.learning is None:
        raise InputError(f"{printable(source.root)}: {NOT_PREPARED}")
    root = source.root.resolve()
    place = Path(state) if state else root.with_name(f"{root.name}-learned")
    given = {name: value for name, value in (("rate", rate), ("passes", passes), ("limit", limit)) if value is not None}
    settings = replace(LearnSettings(), **given)  # type: ignore[arg-type]  # each has its own type
    try:
        with MemoryFiles() as files:
            learner = HeadLearner(root / "learning", place, base)
            if forget:
                learner.forget()
            corrected, tested = files.data_source(data, "corrected"), files.data_source(test, "test")
            if corrected:
                _collect(learner, corrected)
            result = learner.learn(settings) if corrected or not forget else None
            figures = _measure(learner, tested) if tested else (None, None)
            return Teaching(place, learner.samples, learner.has_learned, result, *figures)
    except ClientError as error:
        raise InputError(printable(str(error))) from error


def _collect(learner: HeadLearner, source: str) -> None:
    """Keep the corrected samples of a data source."""
    for feeds, labels in _read_samples(learner, source):
        learner.collect(feeds, labels)


def _measure(learner: HeadLearner, source: str) -> tuple[float, float]:
    """The quality on a data source of the shipped head, and of the one that answers now."""
    import numpy as np

    from edgeship.client.learning.arithmetic import measure_quality

    package, now = learner.package, learner.head
    parts = [
        (learner.compute_features(feeds), package.make_target(labels))
        for feeds, labels in _read_samples(learner, source)
    ]
    features, target = (np.concatenate(part) for part in zip(*parts, strict=True))
    shipped, answering = (measure_quality(features, target, head, package.activation) for head in (package.head, now))
    return shipped, answering


def _read_samples(learner: HeadLearner, source: str) -> Iterator[tuple[Batch, Array]]:
    """Batches of inputs with their labels. Raises InputError where there are no labels."""
    from edgeship.data import RepresentativeDataset
    from edgeship.errors import InputError
    from edgeship.types import TensorSpec

    specs = [TensorSpec.from_json(item) for item in learner.inputs]
    data = RepresentativeDataset(source)
    output = learner.package.content["output"]
    found = data.labels(None, specs)
    labels = found.get(f"y_{output}", found.get("y"))
    if labels is None:
        raise InputError(f"{data.source}: no labels in it; the right answers are an array y")
    start = 0
    for feeds in data.feeds(specs, READ):
        size = len(next(iter(feeds.values())))
        yield feeds, labels[start : start + size]
        start += size
