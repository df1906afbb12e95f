from __future__ import annotations

import pytest

from edgeship.benchmarks.compare import accuracy
from edgeship.bundle.answers import LABELS, SERVER, answers_file
from edgeship.bundle.bundle import open_bundle
from edgeship.data import load


def test_a_bundle_keeps_the_answers_behind_its_figures(shipped_once):
    bundle = open_bundle(shipped_once / "bundle")
    labels, server = load(bundle.root / LABELS), load(bundle.root / answers_file(SERVER))
    for item in bundle.manifest.artifacts:
        report = bundle.manifest.measurements_of(item.id)[0].details.accuracy
        again = accuracy.measure(labels, server, load(bundle.root / answers_file(item.id)))
        assert report and (again.value, again.server, again.low) == pytest.approx(
            (report.value, report.server, report.low)
        )
