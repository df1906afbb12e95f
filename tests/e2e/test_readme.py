"""Every command of README.md is run, in the order of its section, with small real inputs, or by the test named here."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import pytest

from edgeship import cli
from edgeship.benchmarks.gate.budget import Budget
from edgeship.bundle import bundle
from edgeship.devices import profiles
from edgeship.settings import config
from edgeship.train import fashion_mnist
from tests.e2e.lab.page_blocks import PAGES, ROOT, SHELL, commands_below, headings_with_commands, read_blocks
from tests.model_registry import made_up
from tests.present import present

README = "README.md"
ALL = [
    README,
    *sorted(str(path.relative_to(ROOT)) for pages in ("*.md", "apps/*.md") for path in (ROOT / "docs").glob(pages)),
]
HERE = "tests/e2e/test_readme.py"
LONG = "tests/e2e/test_pages_long.py"
# Commands that run for ever, for minutes or with downloads: who runs them instead.
ELSEWHERE = {
    (README, "make demo"): f"{LONG}::test_make_demo_leaves_what_the_readme_says",
    (README, "make test"): ".ci/run",
    (README, "pip install '.[all]'"): (
        "tests/packaging/test_packaging.py::test_an_installed_wheel_does_the_main_job_in_a_new_environment"
    ),
    (README, "source .venv/bin/activate"): f"{HERE}::test_the_environment_is_activated",
    (README, "make web"): f"{HERE}::test_make_web_serves_the_bundle",
    (README, "edgeship devices install cortex-a72 field-tflite-2.14 cortex-m ethos-u55-128"): (
        f"{LONG}::test_devices_of_the_readme_are_installed_and_run"
    ),
    (README, "edgeship benchmark bundle --device host,cortex-a72,field-tflite-2.14,cortex-m,ethos-u55-128"): (
        f"{LONG}::test_devices_of_the_readme_are_installed_and_run"
    ),
    (README, "edgeship gate model.tflite vendor.onnx --server server.keras --data evaluation.npz --max-drop 1"): (
        "tests/e2e/gate/test_foreign_files.py::test_files_are_judged_by_their_figures"
    ),
    (
        README,
        "edgeship benchmark model.tflite vendor.onnx tfjs --server server.keras --data evaluation.npz --out judged",
    ): ("tests/e2e/gate/test_foreign_files.py::test_a_bundle_of_them_is_measured_again_and_does_not_launder"),
    (README, "edgeship runtimes install server"): "tests/serving/rest/conftest.py::installed_server",
    (README, "edgeship serve garments=bundle"): (
        "tests/serving/rest/test_server.py::test_the_command_serves_reloads_and_ends"
    ),
    (README, "edgeship predict bundle --from rows.parquet --to sqlite:///scores.db"): (
        "tests/serving/batch/test_predict.py::test_every_source_gives_the_same_job_and_the_model_s_own_answers"
    ),
    (README, "edgeship worth bundle --network server-4g"): (
        "tests/serving/worth/test_worth.py::test_the_command_prints_a_table_and_writes_page_and_json"
    ),
    (README, "edgeship monitor collect --store inbox --port 8090 --bundle bundle"): (
        "tests/monitoring/inbox/test_collect.py::test_the_command_ends_by_a_signal_with_all_it_took"
    ),
    (README, "edgeship monitor drift --store inbox --page drift.html"): (
        "tests/monitoring/drift/test_drift_command.py::test_what_people_see"
    ),
    (README, "edgeship experiment plan --baseline 0.10 --effect 0.01 --looks 5"): (
        "tests/monitoring/experiments/test_experiment_command.py::test_plan_prints_looks_and_weeks"
    ),
    (README, "edgeship stream --name garments --from rows --state stream --once"): (
        "tests/learning/stream/test_stream_command.py::test_rows_that_cannot_be_read_are_set_aside"
    ),
    (README, "edgeship retrain --name garments --labels labels.csv --samples samples --dry-run"): (
        "tests/learning/test_retrain_command.py::test_a_dry_run_says_what_would_be_done_and_does_nothing"
    ),
    (README, "edgeship runtimes install mediapipe"): "tests/runtimes/test_mediapipe.py::installed",
    (README, "edgeship benchmark bundle --runtime litert,mediapipe,mediapipe-web"): (
        "tests/runtimes/test_mediapipe.py::test_it_answers_what_the_artifact_answers"
    ),
    (
        README,
        "edgeship deploy fetch --url http://localhost:8000/channel --name garments/stable --artifact tflite/int8 "
        "--state device --root root.json",
    ): "tests/client/test_fetch.py::test_the_command_does_what_a_device_does",
    (README, "edgeship rebuild edgeship.lock"): (
        "tests/pipeline/rebuild/test_another_day.py::test_a_lock_gives_the_same_bytes_anywhere_and_at_any_time"
    ),
    **{
        (
            README,
            command,
        ): "tests/train/own_data/test_end_to_end.py::test_five_commands_lead_from_a_table_to_a_gated_bundle"
        for command in commands_below(README, "Your own data")
    },
    ("docs/ci.md", "pip install './edgeship[all]'"): f"{LONG}::test_the_ci_page_runs_from_a_new_environment",
    ("docs/ci.md", "pip install 'edgeship[all] @ git+https://git.example.com/PLACEHOLDER/edgeship.git'"): (
        f"{LONG}::test_the_ci_page_runs_from_a_new_environment"
    ),
    ("docs/data.md", "edgeship init model.keras"): (
        "tests/e2e/test_data_page.py::test_the_data_and_a_fitting_model_are_shipped"
    ),
    ("docs/data.md", "edgeship ship model.keras --out bundle"): (
        "tests/e2e/test_data_page.py::test_the_data_and_a_fitting_model_are_shipped"
    ),
}
# Their exit code is the verdict, which hangs on what training gave.
VERDICTS = ("ship", "benchmark", "gate")
PUBLISH = "edgeship deploy publish "  # only what passes, so that it is forced where that training did not


@dataclass(frozen=True)
class Shell:
    """Runs command lines of a page in a folder, with this environment's `edgeship` first on the path."""

    folder: Path
    cache: Path

    def __call__(self, command: str) -> subprocess.CompletedProcess[str]:
        env = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "EDGESHIP_CACHE": str(self.cache),
        }
        return subprocess.run(
            ["bash", "-e", "-c", command], cwd=self.folder, env=env, capture_output=True, text=True, check=False
        )

    def has_passed(self) -> bool:
        """Whether the folder's bundle passes its gate."""
        return present(bundle.open_bundle(self.folder / "bundle").manifest.gate).verdict == "PASS"

    def check(self, command: str) -> None:
        """Run it and see that it ends with 0, or with the exit code that the verdict calls for."""
        if command.startswith(PUBLISH) and not self.has_passed():
            command += " --force"
        done = self(command)
        judges = command.split()[:1] == ["edgeship"] and command.split()[1] in VERDICTS
        allowed = 1 if judges and not self.has_passed() else 0
        assert done.returncode == allowed, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"


@pytest.fixture
def shell(tmp_path, edgeship) -> Shell:
    return Shell(tmp_path, edgeship.cache)


def begin_own_model(shell: Shell, request: pytest.FixtureRequest) -> None:
    """A model with the data that `init` finds beside it."""
    trained = request.getfixturevalue("shipped_once")
    shutil.copy(trained / "server.keras", shell.folder / "model.keras")
    for name in ("calibration", "evaluation"):
        shutil.copy(trained / f"{name}.npz", shell.folder)


def begin_app(shell: Shell, request: pytest.FixtureRequest) -> None:
    """A bundle with a contract and raw goldens."""
    shutil.copytree(request.getfixturevalue("shipped_once") / "bundle", shell.folder / "bundle")


def begin_registry(shell: Shell, request: pytest.FixtureRequest) -> None:
    """Two bundles that pass, the second of a better model."""
    truth = made_up.truth_of()
    for name, right in (("bundle", 0.9), ("retrained", 0.97)):
        made_up.write_bundle(shell.folder / name, truth, made_up.answers_of(truth, right, 1), name=name)


def begin_signature(shell: Shell, request: pytest.FixtureRequest) -> None:
    """A real bundle, whose goldens `verify` runs, and keys."""
    begin_app(shell, request)
    shell.check("edgeship deploy keygen --out keys")


def begin_browser(shell: Shell, request: pytest.FixtureRequest) -> None:
    """A bundle of one TF.js artifact, and figures of it from a phone."""
    request.getfixturevalue("missing_browser")
    model = request.getfixturevalue("tiny_models") / "cnn.keras"
    shell.check(f"edgeship convert {model} --out bundle --to tfjs --variant float32")
    (artifact,) = bundle.open_bundle(shell.folder / "bundle").manifest.artifacts
    output = {"maxAbsError": 1e-6, "tolerance": 1e-3, "maxAbsErrorServer": 2e-6, "agreement": 1, "passed": True}
    selftest = {
        "schema": 1, "kind": "edgeship-selftest", "bundle": "bundle", "artifact": artifact.id,
        "artifactDigest": artifact.digest, "backend": "wasm", "engine": "SIMD, 4 threads",
        "userAgent": "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile",
        "when": "2026-01-01T00:00:00Z", "samples": 16, "passed": True, "outputs": {"probs": output},
        "preprocessing": True, "loadMs": 80, "firstMs": 12, "accuracy": None,
        "latency": {"runs": 50, "p50Ms": 4, "p90Ms": 5.5, "meanMs": 4.2, "minMs": 3, "isolated": True},
    }  # fmt: skip
    (shell.folder / "selftest.json").write_text(json.dumps(selftest))


def begin_smaller(shell: Shell, request: pytest.FixtureRequest) -> None:
    """A small classifier, an untrained smaller one, and 8x8 pictures of three garments to train them on."""
    models = request.getfixturevalue("odd_models")
    shutil.copy(models / "small.keras", shell.folder / "server.keras")
    shutil.copy(models / "client.keras", shell.folder / "client-untrained.keras")
    split = fashion_mnist.load(None).splits["train"]
    chosen = np.flatnonzero(split.labels < 3)[:300]
    pictures = split.inputs[chosen].reshape(-1, 28, 28)[:, 2:26, 2:26].astype("float32")
    pictures = pictures.reshape(-1, 8, 3, 8, 3).mean(axis=(2, 4))[..., None] / 255
    np.savez(shell.folder / "train.npz", image=pictures.astype("float32"), y=split.labels[chosen])


# What has to lie in the folder before the commands of a section are run.
BEGIN: dict[str, Callable[[Shell, pytest.FixtureRequest], None]] = {
    "Your own model": begin_own_model,
    "In the browser": begin_browser,
    "In an app": begin_app,
    "Versions in a registry": begin_registry,
    "Signatures and locks": begin_signature,
    "Smaller: prune, cluster, quantization-aware training, distillation": begin_smaller,
}


@pytest.fixture
def missing_browser(missing) -> None:
    """Skips without Chromium, Playwright or the built page; in CI fails."""
    from edgeship.runtimes.browser import requirements

    if reason := requirements.unavailable_reason():
        missing(reason)


LONG = "Smaller: prune, cluster, quantization-aware training, distillation"  # it trains five times


@pytest.mark.parametrize(
    "heading",
    [pytest.param(item, marks=pytest.mark.more) if item == LONG else item for item in headings_with_commands(README)],
)
def test_the_commands_of_a_section_run_in_their_order(heading, shell, request):
    commands = [line for line in commands_below(README, heading) if (README, line) not in ELSEWHERE]
    if not commands:
        return
    assert heading in BEGIN, f"no test knows what '{heading}' begins with: {commands}"
    BEGIN[heading](shell, request)
    for command in commands:
        shell.check(command)


def test_no_command_of_a_page_is_left_out():
    """A new block is run here, or somebody says where; what is said to be run elsewhere is there."""
    known = {"python", "toml", "yaml", *SHELL}
    listed = set()
    for page in PAGES:
        for block in read_blocks(page):
            assert block.language in known, f"{page}:{block.line}: nothing runs a block of '{block.language}'"
            listed |= {(page, command) for command in block.commands if block.language in SHELL}
    assert set(ELSEWHERE) <= listed
    left = {command for page, command in listed - set(ELSEWHERE) if page != README}
    assert not left, "commands of docs/ pages belong into ELSEWHERE"
    assert set(BEGIN) <= set(headings_with_commands(README))
    for (_, command), place in ELSEWHERE.items():
        path, _, name = place.partition("::")
        text = (ROOT / path).read_text()
        assert (f"def {name}(" if name else command) in text, f"{place} does not run {command}"


@pytest.mark.parametrize("page", ALL)
def test_commands_and_options_that_a_page_names_exist(page):
    """In blocks and in code spans: every `edgeship COMMAND` is one, and takes the options that stand behind it."""
    spans = re.findall(r"(?<!`)`((?:edgeship |--)[^`]+)`", (ROOT / page).read_text())
    lines = [line.strip() for block in read_blocks(page) for line in block.text.splitlines()]
    for words in re.findall(r"(?m)^(?:run: )?edgeship ([a-z].*?)(?:  .*)?$", "\n".join([*lines, *spans])):
        command = find_command(words.split())
        for option in re.findall(r"(?<!\S)--[a-z-]+", words):
            assert option in options_of(command), f"{page}: 'edgeship {words}' has no option {option}"
    known = set().union(*map(options_of, all_commands(cli.cli)))
    for option in (span.split()[0] for span in spans if span.startswith("--")):
        # Other pages name options of scripts and of other programs too.
        assert option in known or page not in PAGES, f"{page}: no command has an option {option}"


def find_command(words: list[str]) -> click.Command:
    command: click.Command = cli.cli
    while isinstance(command, click.Group) and words and words[0] != "[OPTIONS]":
        inner = command.get_command(click.Context(command), words[0])
        assert inner, f"no command '{words[0]}'"
        command, words = inner, words[1:]
    return command


def all_commands(group: click.Group) -> list[click.Command]:
    context = click.Context(group)
    commands = [present(group.get_command(context, name)) for name in group.list_commands(context)]
    return [
        *commands,
        *(one for command in commands if isinstance(command, click.Group) for one in all_commands(command)),
    ]


def options_of(command: click.Command) -> set[str]:
    return {option for parameter in command.params for option in parameter.opts}


def test_a_command_or_an_option_that_is_not_there_is_seen():
    assert "--junit" in options_of(find_command(["gate", "bundle"]))
    for words in (["shop"], ["runtimes", "instal"]):
        with pytest.raises(AssertionError, match="no command"):
            find_command(words)


@pytest.mark.parametrize("page", ALL)
def test_configurations_of_the_pages_are_read(page, tmp_path):
    """Every key is known, and every value has a meaning."""
    for block in read_blocks(page):
        if block.language != "toml":
            continue
        path = tmp_path / config.NAME
        path.write_text(block.text)
        if "[launch]" in block.text:
            assert profiles.find_device(str(path)).launch
            continue
        read = config.Config.read(path)
        Budget.parse(read.budget)
        for variant in read.variants or ():
            assert variant.formats, variant.recipes


def test_the_environment_is_activated(shell):
    """`make` leaves the command in .venv; the README says how it comes onto the path."""
    (shell.folder / ".venv").symlink_to(sys.prefix)
    done = shell("source .venv/bin/activate && command -v edgeship")
    assert done.stdout.strip() == str(Path(sys.prefix) / "bin" / "edgeship"), done.stderr


def test_make_web_serves_the_bundle(shipped_once, tmp_path, missing):
    """Its last command, on a port that is free."""
    if not shutil.which("npm"):
        missing("npm is not installed")
    serve = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", "web", f"RUN={shipped_once}"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()[-1]  # fmt: skip
    assert serve == f".venv/bin/edgeship demo {shipped_once}/bundle"
    command = [sys.executable, "-u", "-m", "edgeship.cli", *serve.split()[1:], "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as server:
        try:
            address = present(re.search(r"http://\S+", present(server.stdout).readline()))
            with urllib.request.urlopen(address[0]) as page:
                assert b"<html" in page.read()
        finally:
            server.terminate()
