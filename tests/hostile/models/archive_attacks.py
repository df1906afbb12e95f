"""Archives and HDF5 files that point elsewhere or hold too much (see attacks.py)."""

from __future__ import annotations

import zipfile
from typing import Any

from tests.hostile.models.attacks import _canary
from tests.hostile.models.keras_attacks import _entries, _saved, _zipped


def _zip_two_configs(folder):
    path = _saved(folder)
    return _zipped(path, [*_entries(path), ("config.json", b"{}")])


def _zip_case(folder):
    path = _saved(folder)
    return _zipped(path, [*_entries(path), ("Config.json", b"{}")])


def _zip_traversal(folder):
    path = _saved(folder)
    return _zipped(path, [*_entries(path), ("assets/../../canary", b"ran"), ("assets/x", b"")])


def _zip_absolute(folder):
    path = _saved(folder, "tf_keras")
    return _zipped(path, [*_entries(path), (str(_canary(folder)), b"ran")])


def _zip_link(folder):
    path = _saved(folder)
    link = zipfile.ZipInfo("assets/link")
    link.external_attr = 0o120777 << 16
    return _zipped(path, [*_entries(path), (link, b"/etc/passwd")])


def _zip_bomb(folder):
    path = _saved(folder)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("assets/zeros", "w") as file:
        for _ in range(100):
            file.write(bytes(1 << 20))
    return path


def _zip_many(folder):
    path = _saved(folder)
    with zipfile.ZipFile(path, "a") as archive:
        for number in range(10_001):
            archive.writestr(f"assets/{number}", b"")
    return path


def _h5_group(file: Any) -> Any:
    return file["model_weights"]


def _h5_external_link(folder):
    import h5py

    path = _saved(folder, "tf_keras", ".h5")
    with h5py.File(folder / "other.h5", "w") as other:
        other["secret"] = [1.0, 2.0]
    with h5py.File(path, "r+") as file:
        group = _h5_group(file)
        del group["act"]
        group["act"] = h5py.ExternalLink(str(folder / "other.h5"), "/")
    return path


def _h5_soft_link(folder):
    import h5py

    path = _saved(folder, "tf_keras", ".h5")
    with h5py.File(path, "r+") as file:
        _h5_group(file)["again"] = h5py.SoftLink("/model_weights/both")
    return path


def _h5_external_storage(folder):
    import h5py

    path = _saved(folder, "tf_keras", ".h5")
    (folder / "raw").write_bytes(bytes(64))
    with h5py.File(path, "r+") as file:
        file.create_dataset("model_weights/raw", (8,), "f8", external=[(str(folder / "raw"), 0, 64)])
    return path


def _h5_declared(folder):
    import h5py

    path = _saved(folder, "tf_keras", ".h5")
    with h5py.File(path, "r+") as file:
        file.create_dataset("model_weights/large", (1 << 40,), "f8", chunks=(1 << 16,))
    return path


def _keras_external_link(folder):
    """The same within a `.keras` archive."""
    import h5py

    path = _saved(folder, "tf_keras")
    entries = dict(_entries(path))
    (folder / "weights.h5").write_bytes(entries["model.weights.h5"])
    with h5py.File(folder / "weights.h5", "r+") as file:
        file["elsewhere"] = h5py.ExternalLink(str(folder / "other.h5"), "/")
    entries["model.weights.h5"] = (folder / "weights.h5").read_bytes()
    return _zipped(path, list(entries.items()))
