"""What `edgeship optimize` refuses before TensorFlow starts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeship.errors import InputError
from edgeship.pipeline import fine_tuning
from edgeship.recipes.training import PruneRecipe, QatRecipe, Recipes, Training

PRUNE = Recipes(prune=PruneRecipe(0.5))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model.keras").write_bytes(b"x")
    np.savez(tmp_path / "data.npz", x=np.zeros(3), y=np.zeros(3))
    return tmp_path


@pytest.mark.parametrize(
    ("model", "out", "data", "recipes", "message"),
    [
        ("model.keras", "out.keras", None, PRUNE, "needs training data with labels: give --data"),
        ("model.keras", "out.keras", None, Recipes(qat=QatRecipe()), "needs training data with labels"),
        ("model.keras", "out.keras", "none.npz", PRUNE, "none.npz: no such file"),
        ("model.keras", "out.h5", "data.npz", PRUNE, r"out.h5: the model is written as .keras"),
        ("model.keras", "model.keras", "data.npz", PRUNE, "is the model itself"),
        ("none.keras", "out.keras", "data.npz", PRUNE, "none.keras: no such file"),
        ("model.keras", "out.keras", "data.npz", Recipes(), "nothing to do: ask for --prune"),
    ],
)
def test_refusals(folder: Path, model: str, out: str, data: str | None, recipes: Recipes, message: str) -> None:
    source = str(folder / data) if data else None
    with pytest.raises(InputError, match=message):
        fine_tuning.run(folder / model, folder / out, recipes, Training(), data=source)
    assert {path.name for path in folder.iterdir()} == {"model.keras", "data.npz"}
