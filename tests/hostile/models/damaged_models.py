"""Damaged copies of models, read and loaded in the TensorFlow child."""

from __future__ import annotations

import contextlib
import json
import os
import zipfile
from pathlib import Path
from typing import Any

from tests.hostile.models.attacks import _canary, try_model
from tests.hostile.models.keras_attacks import _entries, _saved
from tests.hostile.models.saved_model_attacks import _exported


def honest(folder: str) -> dict[str, str]:
    """One small model of each kind: `{kind: path}`."""
    import tensorflow as tf
    import tf_keras

    place = Path(folder)
    saved = {"keras": _saved(place), "h5": _saved(place, "tf_keras", ".h5")}
    old = place / "old"
    old.mkdir()
    saved["keras2"] = _saved(old, "tf_keras")
    saved["saved_model"] = _exported(place, lambda tf, x: tf.nn.relu(x))
    return {kind: str(path) for kind, path in saved.items()} | {
        "tensorflow": tf.__version__,
        "tf_keras": tf_keras.__version__,
    }


def damaged(kind: str, path: str, folder: str, first: int, count: int, whole: bool) -> dict[str, Any]:
    """Damaged copies of a model: how many loaded, how many were told, and whatever else came of them.

    `whole` loads and runs them; else they are only read and judged.
    """
    import shutil

    from edgeship.errors import EdgeshipError
    from edgeship.server_model import model_files, operators, safety, saved_model

    source, counts, wrong = Path(path), {"loaded": 0, "refused": 0, "ended": 0}, []
    place = Path(folder) / kind
    for seed in range(first, first + count):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        (place / "seed").write_text(json.dumps({"seed": seed, **counts}))
        copy = place / source.name
        if source.is_dir():
            shutil.copytree(source, copy)
            part = sorted(item for item in copy.rglob("*") if item.is_file())
            part = [item for item in part if item.name != "fingerprint.pb"]
            target = part[seed % len(part)] if seed % 2 else copy / "saved_model.pb"
        else:
            target = copy
        original = source / target.relative_to(copy) if source.is_dir() else source
        target.write_bytes(_broken(original, kind, seed))
        if kind == "h5" and not _returns(copy):
            counts["ended"] += 1
            continue
        try:
            if whole:
                outcome = try_model(str(copy), str(_canary(place)))
                if outcome["kind"] not in ("", "refused"):
                    wrong.append([seed, f"{outcome['kind']}: {outcome['error']}"])
                counts["refused" if outcome["kind"] else "loaded"] += 1
                continue
            file = model_files.sniff(copy)
            if file.kind == "saved_model":
                operators.check(copy, saved_model.meta_graphs(copy)[0], runs_graph=False)
            else:
                safety.check(copy, file.config, frozenset(), operators.refused_layer)
            counts["loaded"] += 1
        except EdgeshipError as raised:
            counts["refused"] += 1
            if "\n" in str(raised):
                wrong.append([seed, str(raised)])
        except Exception as raised:
            wrong.append([seed, f"{type(raised).__name__}: {raised}"])
    return {**counts, "wrong": wrong}


def _returns(path: Path) -> bool:
    """Whether reading the file comes to an end within seconds; in a process of its own, which is what it may end."""
    from edgeship.server_model import model_files

    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException), model_files.exit_after(3):
            model_files.sniff(path)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def endless() -> None:
    """What HDF5 does over some files."""
    from edgeship.server_model import model_files

    with model_files.exit_after(0.5):
        while True:
            pass


def _broken(original: Path, kind: str, seed: int) -> bytes:
    """The damaged file; of an archive every second time one of its entries, with its sum made right so that Keras reads it."""
    import io

    from tests.hostile.files.damage import damage

    if not kind.startswith("keras") or seed % 2:
        return damage(original.read_bytes(), seed)
    entries = _entries(original)
    chosen = entries[seed // 2 % len(entries)][0]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in entries:
            archive.writestr(name, damage(data, seed) if name == chosen else data)
    return buffer.getvalue()
