"""Models that would run code, read or write files of the machine: built, then loaded and run as edgeship does.

Runs inside the TensorFlow child process. Each `_name(folder)` of the modules returns the path of one such model.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
# Where the TensorFlow child imports from: models name `hostile_payload` and `honest_layers` without a package.
CHILD_PATH = os.pathsep.join(map(str, (HERE, HERE.parents[2])))
MODULE = "hostile_payload"
MODULES = ("keras_attacks", "archive_attacks", "saved_model_attacks", "tf1_attacks", "function_attacks")


def attack(name: str, folder: str, **options: Any) -> dict[str, Any]:
    """Build the model of that name and try it: what edgeship said, and whether code of it ran."""
    place = Path(folder)
    os.environ["HOSTILE_CANARY"] = str(_canary(place))
    modules = [importlib.import_module(f"tests.hostile.models.{module}") for module in MODULES]
    path = next(vars(module)[f"_{name}"] for module in modules if f"_{name}" in vars(module))(place)
    return try_model(str(path), str(_canary(place)), **options)


def try_model(path: str, canary: str, **options: Any) -> dict[str, Any]:
    import numpy as np

    from edgeship.errors import EdgeshipError
    from edgeship.server_model import server_model

    os.environ["HOSTILE_CANARY"] = canary
    sys.modules.pop(MODULE, None)
    Path(canary).unlink(missing_ok=True)
    server_model._LOADED.clear()
    error = kind = ""
    try:
        server = server_model.load(path, **options)
        server.predict({spec.name: np.zeros([size or 1 for size in spec.shape], spec.dtype) for spec in server.inputs})
    except EdgeshipError as raised:
        error, kind = str(raised), "refused"
    except Exception as raised:
        error, kind = str(raised), type(raised).__name__
    return {"error": error, "kind": kind, "ran": Path(canary).exists()}


def loaded(path: str, **options: Any) -> dict[str, Any]:
    """Load a Keras file without running it: what edgeship said, and how many weights it has."""
    from edgeship.errors import EdgeshipError
    from edgeship.server_model import keras, model_files

    options = {"custom_objects": None, "allow_unsafe": False, **options}
    try:
        adapter = keras.load(model_files.sniff(Path(path)), **options)
    except EdgeshipError as raised:
        return {"error": str(raised), "loader": ""}
    return {"error": "", "loader": adapter.loader, "weights": len(adapter.weights)}


def _canary(folder: Path) -> Path:
    return folder / "canary"
