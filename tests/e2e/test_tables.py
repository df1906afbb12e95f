"""What commands print fits 120 columns where nobody asked for more, whatever the terminal says, and says what comes next."""

from __future__ import annotations

import shutil

import pytest


def width(text: str) -> int:
    return max(map(len, text.splitlines()), default=0)


@pytest.mark.parametrize("command", ["gate", "verify", "debug", "inspect", "report", "benchmark"])
def test_tables_of_a_bundle(edgeship, shipped, command):
    shipped.change(lambda _: None)
    arguments = ["--data", shipped.folder / "evaluation.npz"] if command in ("debug", "benchmark") else []
    done = edgeship(command, shipped.bundle, *arguments)
    assert done.returncode in (0, 1), done.stderr
    lines = [line for line in done.stdout.splitlines() if not line.startswith("report: ")]  # a path, to be copied whole
    assert width("\n".join(lines)) <= 120
    assert "\u2026" not in done.stdout.replace(", \u2026", "")


@pytest.mark.parametrize("command", ["devices", "runtimes", "doctor"])
def test_tables_of_the_machine(edgeship, command):
    assert 60 < width(edgeship(command, check=0).stdout) <= 120


@pytest.mark.more
def test_wide_shows_every_column(edgeship, shipped):
    shipped.change(lambda _: None)
    arguments = [shipped.bundle, "--data", shipped.folder / "evaluation.npz"]
    words = "size on disk", "time to load", "early-stopping"
    narrow, wide = (" ".join(edgeship("benchmark", *arguments, *more).stdout.split()) for more in ([], ["--wide"]))
    assert all(word in wide for word in words)
    assert not any(word in narrow.replace("more columns (size on disk", "") for word in words)
    assert "cosine" in edgeship("debug", *arguments, "--wide").stdout.partition("SQNR:")[0]


def test_long_names_are_folded(edgeship, odd_models):
    name = "student-of-half-width-with-clustered-kernels-and-int8-weights-for-old-phones"
    shutil.copy(odd_models / "plain.keras", edgeship.folder)
    (edgeship.folder / "edgeship.toml").write_text(
        f'[variants.{name}]\nquantize = "weight_only_w8"\nformats = ["tflite"]\n'
    )
    done = edgeship("convert", "plain.keras", "--out", "out", check=0)
    assert width(done.stdout) <= 120
    assert "next: edgeship benchmark out" in done.stderr
    assert width(edgeship("verify", "out").stdout) <= 120
    assert width(edgeship("benchmark", "out").stdout.partition("report: ")[0]) <= 120
