"""`edgeship optimize` from model and data to the file: what was asked for is in it, whatever engine did it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgeship.errors import CheckError, InputError
from edgeship.optimize.receipt import OptimizeReceipt
from edgeship.processes.child import FunctionProcess
from edgeship.typed_json import convert

LOAD = {"custom_objects": "further_models"}


class Bench:
    """Models and data in a folder, and the process that trains them."""

    def __init__(self, process: FunctionProcess, folder: Path) -> None:
        self.process, self.folder = process, folder

    def run(self, name: str, recipes: dict[str, Any], data: str = "", **training: Any) -> dict[str, Any]:
        receipt = self.process.call(
            "edgeship.optimize.apply:run",
            model=str(self.folder / f"{name}.keras"),
            out=str(self.folder / "out.keras"),
            data=str(self.folder / f"{data or name}.npz"),
            recipes=recipes,
            training={"epochs": 2, "batch": 32, **training},
            **(LOAD if name == "own" else {}),
        )
        return convert(OptimizeReceipt, receipt).record()

    def tensors(self) -> dict[str, dict[str, Any]]:
        return self.process.call("further_models:tensors", path=str(self.folder / "out.keras"))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def trained_model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("further")
    with FunctionProcess(env={"PYTHONPATH": str(Path(__file__).parent)}) as process:
        process.call("further_models:build", folder=str(folder))
        yield Bench(process, folder)


@pytest.fixture
def bench(trained_model: Bench) -> Bench:
    for path in trained_model.folder.glob("out*"):
        path.unlink()
    return trained_model


@pytest.mark.parametrize(("name", "engine"), [("table", "tfmot"), ("own", "masks")])
def test_one_recipe_has_two_engines(bench: Bench, name: str, engine: str) -> None:
    receipt = bench.run(name, {"prune": 0.7}, data="table", epochs=1, batch=216)  # one single step
    step = receipt["steps"]["prune"]
    assert (step["engine"], step["steps"]) == (engine, 1)
    assert ("subclassed" in step.get("why", "")) == (engine == "masks")
    rows = {row["tensor"].rpartition("/")[0].rpartition("/")[2]: row["achieved"] for row in receipt["sparsity"]}
    tensors = bench.tensors()
    for layer in ("first", "last"):
        assert rows[layer] == pytest.approx(tensors[f"{layer}/kernel"]["zeros"])
        assert rows[layer] == pytest.approx(0.7, abs=0.01)


def test_a_constant_schedule_and_a_layer_pattern(bench: Bench) -> None:
    recipe = {"sparsity": 0.5, "schedule": "constant", "layers": ["fir*"]}
    receipt = bench.run("table", {"prune": recipe})
    tensors = bench.tensors()
    assert tensors["first/kernel"]["zeros"] == 0.5
    assert tensors["last/kernel"]["zeros"] == 0
    assert [row["tensor"] for row in receipt["sparsity"]] == ["first/kernel"]


def test_two_of_four_along_the_input_channels(bench: Bench) -> None:
    receipt = bench.run("pair", {"prune": {"sparsity": 0.5, "pattern": "2:4", "layers": ["conv", "side"]}})
    tensors = bench.tensors()
    assert [tensors[name]["in_four"] for name in ("conv/kernel", "side/kernel")] == [2, 2]
    assert receipt["steps"]["prune"]["engine"] == "tfmot"


@pytest.mark.parametrize("name", ["table", "own"])
def test_blocks_of_zeros(bench: Bench, name: str) -> None:
    bench.run(name, {"prune": {"sparsity": 0.5, "pattern": "4x1"}}, data="table")
    kernel = bench.tensors()["first/kernel"]
    assert kernel["rows_in_blocks"]
    assert kernel["zeros"] == 0.5


def test_all_of_it_together_keeps_zeros_and_shared_values(bench: Bench) -> None:
    receipt = bench.run("pair", {"prune": 0.6, "cluster": 6, "qat": True}, epochs=1)
    tensors = bench.tensors()
    for name in ("conv/kernel", "side/kernel"):
        assert tensors[name]["zeros"] == pytest.approx(0.6, abs=0.01)
        assert tensors[name]["values"] <= 6
    float_layers = receipt["steps"]["qat"]["left_in_float"]
    assert float_layers == {
        "scale": "TFMOT does not know Rescaling",
        "side": "TFMOT does not know the activation hard_silu",
    }
    assert receipt["loss"] == {"kind": "sparse_categorical_crossentropy", "size": "mean_squared_error"}


@pytest.mark.parametrize("name", ["table", "own"])
def test_clusters_alone(bench: Bench, name: str) -> None:
    receipt = bench.run(name, {"cluster": 5}, data="table", epochs=1)
    assert bench.tensors()["first/kernel"]["values"] == 5
    assert receipt["steps"]["cluster"]["engine"] == ("tfmot" if name == "table" else "shared values")


def test_a_thinner_model_learns(bench: Bench) -> None:
    receipt = bench.run("table", {"distill": {"width": 0.5, "labels": 0.9}}, epochs=30, learning_rate=0.01)
    sizes = receipt["steps"]["distill"]["parameters"]
    parameters = bench.process.call("further_models:parameters", path=str(bench.folder / "out.keras"))
    assert sizes["student"] == parameters == 16 * 9 + 17 * 3
    assert receipt["after"]["last"]["accuracy"] > receipt["before"]["last"]["accuracy"] + 0.2


@pytest.mark.parametrize("name", ["table", "own"])
def test_the_server_model_teaches_beside_the_labels(bench: Bench, name: str) -> None:
    """The server models have random weights: what is trained on labels alone goes far away from them."""
    server, out = str(bench.folder / f"{name}.keras"), str(bench.folder / "out.keras")
    apart = {}
    for teacher in (0.0, 1.0):
        receipt = bench.run(name, {"prune": 0.1}, data="table", epochs=6, learning_rate=0.003, teacher=teacher)
        assert receipt["teacher"] == teacher
        apart[teacher] = bench.process.call("further_models:apart", one=server, other=out)
    assert apart[1.0] < 0.5 * apart[0.0]


def test_training_is_the_same_for_the_same_seed(bench: Bench) -> None:
    curves = [
        bench.run("table", {"prune": 0.5}, seed=seed)["steps"]["prune"]["training"]["curve"] for seed in (1, 1, 2)
    ]
    losses = [[point["loss"] for point in curve] for curve in curves]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert losses[0] != pytest.approx(losses[2], rel=1e-5)


def test_the_server_model_in_memory_is_left_as_it_was(bench: Bench) -> None:
    """The process may go on to export it: a run that failed half-way must not have changed it."""
    path = str(bench.folder / "table.keras")
    before = bench.process.call("further_models:answers", path=path)
    with pytest.raises(CheckError):
        bench.run("table", {"prune": 0.9}, data="values", loss="mean_squared_error")
    assert bench.process.call("further_models:answers", path=path) == before


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_good_weights(bench: Bench) -> None:
    with pytest.raises(CheckError, match=r"became (nan|inf) at step \d+ of .*last good weights, those of epoch 0"):
        bench.run("table", {"prune": 0.5}, data="values", loss="mean_squared_error")
    assert not (bench.folder / "out.keras").exists()
    assert bench.process.call("further_models:parameters", path=str(bench.folder / "out.last-good.keras"))


@pytest.mark.parametrize(
    ("recipes", "data", "message"),
    [
        (
            {"prune": {"layers": ["conv*"]}},
            "table",
            r"'conv\*' matches no layer that can be pruned; there are: first, last",
        ),
        ({"prune": {"begin": 500}}, "table", "reaches 0.000 of the asked sparsity"),
        ({"prune": {"pattern": "2:4"}}, "unlabelled", "training needs labels, and there is no array y"),
        ({"qat": {"layers": ["x"]}}, "table", "'x' matches no layer that can be quantized"),
        ({}, "table", "nothing to do"),
    ],
)
def test_what_cannot_be_done_is_told(bench: Bench, recipes: dict[str, Any], data: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        bench.run("table", recipes, data)
    assert not list(bench.folder.glob("out*"))


def test_quantization_aware_training_needs_a_graph(bench: Bench) -> None:
    with pytest.raises(InputError, match="needs a model that can be rebuilt in tf_keras: 'own' is a subclassed model"):
        bench.run("own", {"qat": True}, data="table")
