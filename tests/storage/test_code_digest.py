"""A cache key covers the code that its step runs: no less, which would be a wrong hit, and little more."""

import grimp
import pytest

from edgeship.runtimes import registry
from edgeship.runtimes.browser import requirements
from edgeship.storage import cache, digest

WORKER = "edgeship.runtimes.worker.__main__"
# The functions that each step calls, here or in another process, by their modules.
ENTRIES = {
    "describe": ("edgeship.server_model.server_model",),
    "reference": ("edgeship.server_model.server_model",),
    "golden-answers": ("edgeship.server_model.server_model",),
    "export": ("edgeship.convert.export.export",),
    "receipt": ("edgeship.convert.receipts.receipt",),
    "convert-tflite": ("edgeship.convert.tflite.convert",),
    "convert-onnx": ("edgeship.convert.onnx.convert",),
    "convert-tfjs": ("edgeship.convert.tfjs.convert",),
    "calibrate-tflite": ("edgeship.optimize.quantize.tflite.quantizer",),
    "calibrate-onnx": ("edgeship.optimize.quantize.onnx.quantizer",),
    "quantize-tflite": ("edgeship.optimize.quantize.tflite.quantizer",),
    "quantize-onnx": ("edgeship.optimize.quantize.onnx.quantizer",),
    "optimize": ("edgeship.optimize.apply",),
    "goldens": (
        "edgeship.runtimes.session",
        WORKER,
    ),
    "kernel-spread": (
        "edgeship.benchmarks.measure.benchmark",
        "edgeship.benchmarks.measure.failure_reasons",
        "edgeship.runtimes.session",
        WORKER,
    ),
    "size": ("edgeship.benchmarks.measure.size",),
    **dict.fromkeys(("contract", "contract-lines"), ("edgeship.deploy.contract.build",)),
    "raw-goldens": ("edgeship.deploy.contract.describe", "edgeship.deploy.contract.raw_goldens"),
    "profile": (
        "edgeship.benchmarks.compare.accuracy",
        "edgeship.monitoring.profile.build",
        "edgeship.monitoring.profile.profile",
    ),
    "server-figures": ("edgeship.benchmarks.compare.accuracy",),
    "between-formats": ("edgeship.benchmarks.compare.parity",),
    "constant-answers": ("edgeship.benchmarks.compare.constant_answers",),
    "retrain": ("edgeship.optimize.fine_tune",),
    "stream": ("edgeship.convert.head.cut", "edgeship.optimize.fine_tune"),
    "plots": ("edgeship.benchmarks.report.html_report",),
    **dict.fromkeys(
        ("quality", "speed", "ratio"),
        (
            "edgeship.benchmarks.measure.driver",
            WORKER,
            "edgeship.runtimes.browser",
        ),
    ),
    **dict.fromkeys(
        ("doctor", "instructions", "compiler", "memory"),
        (
            "edgeship.benchmarks.measure.driver",
            WORKER,
        ),
    ),
}


@pytest.fixture(scope="module")
def imports():
    graph = grimp.build_graph("edgeship")
    # Of all that a module imports by `from edgeship import ...`, only what a caller of the API asks for is found this way.
    graph.remove_import(importer="edgeship", imported="edgeship.api")
    return graph


def test_every_step_with_stages_of_its_own_is_checked_here():
    assert set(ENTRIES) == set(cache.STAGES)


@pytest.mark.parametrize("step", ENTRIES)
def test_a_step_reaches_no_code_that_its_key_does_not_cover(imports, step):
    for entry in ENTRIES[step]:
        reached = {entry, *imports.find_upstream_modules(entry)}
        stages = {name.split(".")[1] for name in reached if "." in name} & {*digest.STAGES}
        assert stages <= {*cache.STAGES[step]}, entry


def test_no_step_reaches_code_that_no_key_covers(imports):
    # Lanes of generated clients are listed like runtimes, but run no artifact.
    imports.remove_import(importer="edgeship.runtimes.engines.clients", imported="edgeship.runtimes.clients.lanes")
    entries = {module for modules in ENTRIES.values() for module in modules}
    reached = {module for entry in entries for module in imports.find_upstream_modules(entry)}
    uncovered = tuple(f"edgeship.{folder.replace('/', '.')}" for folder in digest.NOT_RUN)
    assert not [module for module in reached if f"{module}.".startswith(tuple(f"{name}." for name in uncovered))]


@pytest.fixture
def tree(tmp_path):
    """An edgeship of one file per place; stages are links, as in a checkout."""
    root = tmp_path / "src" / "edgeship"
    root.mkdir(parents=True)
    for stage in digest.STAGES:
        (tmp_path / stage / "inner").mkdir(parents=True)
        (root / stage).symlink_to(tmp_path / stage)
    (root / "cli").mkdir()
    (root / "runtimes" / "web" / "dist").mkdir(parents=True)
    (root / "runtimes" / "tfjs" / "node_modules").mkdir(parents=True)
    for name in PLACES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("1")
    return root


def digests(root):
    digest.of_code.cache_clear()
    stage_sets = {(), digest.STAGES, *((stage,) for stage in digest.STAGES)}
    return {stages: digest.of_code(stages, root) for stages in stage_sets}


# By what is changed: the stages whose steps are made again; "ground" stands for all of them.
PLACES = {
    "convert/tflite/convert.py": {"convert"},
    "optimize/inner/deep.py": {"optimize"},
    "benchmarks/measure/driver.py": {"benchmarks"},
    "runtimes/tfjs/model.mjs": {"runtimes"},
    "runtimes/inner/count.c": {"runtimes"},
    "train/fit.py": {"train"},
    "bundle.py": {"ground"},
    "api/models.py": set(),
    "cli/models/ship.py": set(),
    "deploy/channel/publish.py": set(),
    "deploy/contract/build.py": {"ground"},
    "runtimes/web/dist/built.json": set(),
    "runtimes/web/main.ts": set(),
    "runtimes/tfjs/node_modules/index.mjs": set(),
}


@pytest.mark.parametrize("place", PLACES)
def test_changed_code_makes_the_steps_that_run_it_again_and_no_others(tree, place):
    before = digests(tree)
    (tree / place).write_text("2")
    after = digests(tree)
    changed_stages = {stages for stages in before if before[stages] != after[stages]}
    expected = PLACES[place]
    assert changed_stages == {stages for stages in before if "ground" in expected or expected & {*stages}}


def test_code_that_is_added_or_removed_counts(tree):
    before = digests(tree)
    (tree / "convert" / "new.py").write_text("")
    with_more_code = digests(tree)
    (tree / "convert" / "new.py").unlink()
    assert with_more_code["convert",] != before["convert",] == digests(tree)["convert",]


def test_building_the_page_changes_what_runs_in_it_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(requirements, "PAGE", tmp_path)
    unbuilt = {runtime.name: runtime.identity() for runtime in registry.RUNTIMES.values()}
    (tmp_path / "built.json").write_text('{"sources": "1"}')
    with_page = {runtime.name: runtime.identity() for runtime in registry.RUNTIMES.values()}
    (tmp_path / "built.json").write_text('{"sources": "2"}')
    rebuilt = {runtime.name: runtime.identity() for runtime in registry.RUNTIMES.values()}
    in_pages = {runtime.name for runtime in registry.RUNTIMES.values() if runtime.in_browser}
    assert {name for name in unbuilt if unbuilt[name] != with_page[name]} == in_pages
    assert {name for name in unbuilt if with_page[name] != rebuilt[name]} == in_pages
