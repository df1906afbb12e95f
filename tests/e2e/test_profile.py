"""The profile that `ship` writes: the answers that the bundle keeps, in the bins that a device counts in."""

from __future__ import annotations

import json

import numpy as np
import pytest

from edgeship.bundle.answers import LABELS, SERVER, answers_file
from edgeship.bundle.bundle import MANIFEST, open_bundle
from edgeship.client import Counter
from edgeship.data import load
from edgeship.monitoring.profile.profile import read_profile
from edgeship.monitoring.reports.bins import check_bins
from edgeship.monitoring.reports.read import read_report
from edgeship.monitoring.reports.report import ClassCounts


def test_a_device_that_sees_the_evaluation_data_counts_the_profile(shipped_once, tmp_path):
    root = shipped_once / "bundle"
    bundle, profile = open_bundle(root), read_profile(root)
    assert profile
    assert profile.artifacts == {item.id: item.content for item in bundle.manifest.artifacts}
    assert profile.samples == len(load(root / LABELS)["y"])
    answers, evaluation = load(root / answers_file("tflite/int8")), load(shipped_once / "evaluation.npz")
    [output], [source] = profile.outputs, profile.inputs
    counter = Counter(root / "profile.json", artifact="tflite/int8", state=tmp_path, runtime="LiteRT")
    for scores, window in zip(answers[output.name], evaluation[source.name], strict=True):
        counter.count({output.name: scores}, {source.name: window})
    [sent] = counter.preview()
    report = read_report(json.dumps(sent).encode())
    check_bins(report, profile)
    lab, field = profile.answers["tflite/int8"][output.name], report.outputs[output.name]
    assert isinstance(field, ClassCounts)
    assert ([*field.joint], [*field.margin], [*field.entropy]) == ([*lab.joint], [*lab.margin], [*lab.entropy])
    assert [[*counts] for counts in report.inputs[source.name]] == [[*item.counts] for item in source.descriptors]


def test_the_counts_of_right_answers_are_the_accuracy(shipped_once):
    root = shipped_once / "bundle"
    manifest, profile = open_bundle(root).manifest, read_profile(root)
    assert profile
    labels = load(root / LABELS)
    for whose, outputs in profile.answers.items():
        [counted] = outputs.values()
        accuracy = sum(counted.right[1::2]) / profile.samples
        if whose == SERVER:
            [scores] = load(root / answers_file(SERVER)).values()
            assert accuracy == np.mean(scores.argmax(1) == labels["y"])
        else:
            report = manifest.measurements_of(whose)[0].details.accuracy
            assert report
            assert accuracy == pytest.approx(report.value)


@pytest.mark.more
def test_benchmark_leaves_the_profile_that_reports_name(edgeship, shipped):
    with np.load(shipped.folder / "evaluation.npz") as data:
        np.savez(edgeship.folder / "few.npz", **{name: array[:200] for name, array in data.items()})
    before = (shipped.bundle / "profile.json").read_bytes()
    done = edgeship("benchmark", shipped.bundle, "--data", "few.npz")
    assert done.returncode in (0, 1), done.stderr
    assert json.loads((shipped.bundle / MANIFEST).read_text())["data"]["evaluation"]["samples"] == 200
    assert (shipped.bundle / "profile.json").read_bytes() == before
