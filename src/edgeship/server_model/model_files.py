"""What kind of model file this is, and a copy of it that can be loaded: judged by content, before any of its code could run.

Half-precision policies are replaced by float32 in that copy: the reference is the model run in float32, and no mobile
runtime computes a float16 graph as such (the variables of a mixed-precision model are float32 anyway).
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import shutil
import sys
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

from edgeship.errors import EdgeshipError, InputError, ProcessError, brief_message
from edgeship.light_dataclass import dataclass
from edgeship.server_model import keras_archive
from edgeship.untrusted import LIMITS, limits, parse_json, place_within, printable, regular_file, tree_files

KINDS = "a .keras file, an .h5 file with the whole model, or a SavedModel folder"
WEIGHTS, NPZ = "model.weights.h5", "model.weights.npz"
HALF = {"float16", "bfloat16", "mixed_float16", "mixed_bfloat16"}
OTHER = (
    (b"TFL3", 4, "a .tflite file: it is converted already"),
    (b"\x80", 0, "a pickle (perhaps a PyTorch or scikit-learn model), not a Keras model"),
    (b"\x08", 0, "a bare protobuf (ONNX or a frozen TensorFlow graph), not a Keras model"),
    (b"version https://git-lfs", 0, "a Git LFS pointer: fetch the real file with `git lfs pull`"),
)


@dataclass(frozen=True)
class ModelFile:
    """A model on disk: `kind` is 'keras', 'h5' or 'saved_model'; `writer` the Keras version that wrote it, or ''."""

    path: Path
    kind: str
    writer: str = ""
    config: dict[str, Any] = field(default_factory=dict)

    @property
    def legacy(self) -> bool:
        """Whether Keras 1 or 2 (tf_keras) wrote it."""
        return self.kind != "saved_model" and not self.writer.startswith("3")


@contextlib.contextmanager
def exit_after(seconds: float) -> Iterator[None]:
    """Ends this process where what is inside takes longer: HDF5's own code never returns from some damaged files.

    For the child processes that read models; the parent tells the user (`crash_as_input_error`).
    """
    faulthandler.dump_traceback_later(seconds, exit=True, file=sys.__stderr__ or 2)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


@contextlib.contextmanager
def crash_as_input_error(path: object) -> Iterator[None]:
    """Turns the death of the child that reads a model, natively or as it took too long, into an InputError naming it."""
    try:
        yield
    except ProcessError as error:
        if not error.died:
            raise
        raise InputError(f"{printable(path)}: crashes what reads it, is the file damaged? ({error})") from error


def check_kind(path: Path) -> None:
    """Raises InputError for what is no model by its first bytes; nothing is parsed, so that it is at once and safe anywhere."""
    if _sniff_kind(path) == "keras":
        with _open_archive(path) as archive:
            _check_names(path, archive.namelist())


def sniff(path: Path) -> ModelFile:
    """Tell what is there. Raises InputError for anything that is not a whole Keras model or SavedModel.

    HDF5's library reads it, and may crash or never end over a damaged file: for child processes, `exit_after`.
    """
    kind = _sniff_kind(path)
    return _read_hdf5(path) if kind == "h5" else _read_archive(path) if kind == "keras" else ModelFile(path, kind)


def _sniff_kind(path: Path) -> str:
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; give {KINDS}")
    if path.is_dir():
        _check_folder(path)
        return "saved_model"
    with regular_file(path, links=True).open("rb") as file:
        head = file.read(64)
    if not head:
        raise InputError(f"{path}: the file is empty")
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return "h5"
    if head.startswith(b"PK"):
        return "keras"
    for magic, offset, what in OTHER:
        if head[offset : offset + len(magic)] == magic:
            raise InputError(f"{path}: this is {what}; give {KINDS}")
    raise InputError(f"{path}: not a Keras model (neither a .keras archive nor HDF5); give {KINDS}")


def _check_folder(path: Path) -> None:
    if (path / "saved_model.pb").is_file() or (path / "saved_model.pbtxt").is_file():
        for name in tree_files(path):  # no links: what is digested, judged and loaded is the folder's own
            place_within(path, name)  # it travels in a bundle, whose readers take no other names
        return
    if (path / "tfhub_module.pb").exists():
        raise InputError(f"{path}: a TF-Hub module of the TF1 format; export it as a SavedModel with a signature first")
    if (path / "config.json").is_file() and (path / "model.weights.h5").is_file():
        raise InputError(f"{path}: an unpacked .keras archive; zip its files again as a .keras file")
    raise InputError(f"{path}: a folder without saved_model.pb; give {KINDS}")


def _read_archive(path: Path) -> ModelFile:
    with _open_archive(path) as archive:
        names = archive.namelist()
        _check_names(path, names)
        keras_archive.check_archive(path, archive)
        config = _read_json_member(path, archive, "config.json")
        metadata = _read_json_member(path, archive, "metadata.json") if "metadata.json" in names else {}
        bad = next((name for name in names if name != WEIGHTS and not _is_whole(archive, name)), None)
        if WEIGHTS in names:
            keras_archive.check_hdf5(f"{path}: its {WEIGHTS}", archive.read(WEIGHTS))
        if NPZ in names:
            with zipfile.ZipFile(archive.open(NPZ)) as weights:
                keras_archive.check_archive(path / NPZ, weights)
    if bad:
        raise InputError(f"{path}: damaged .keras file ('{printable(bad)}' in it cannot be read); copy it again")
    return ModelFile(path, "keras", str(metadata.get("keras_version", "3")), config)


@contextlib.contextmanager
def _open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except EdgeshipError:
        raise
    except Exception as error:  # zipfile and zlib raise a dozen kinds over a damaged file
        raise InputError(f"{path}: damaged or truncated .keras file ({_error_text(error)}); copy it again") from error


def _check_names(path: Path, names: Sequence[str]) -> None:
    if "config.json" not in names:
        what = "model.onnx or PyTorch archive?" if "archive/data.pkl" in names else "no config.json in it"
        raise InputError(f"{path}: a zip file, but not a .keras model ({what}); give {KINDS}")


def _read_json_member(path: Path, archive: zipfile.ZipFile, name: str) -> dict[str, Any]:
    most = limits().json_bytes
    if archive.getinfo(name).file_size > most:
        raise InputError(f"{path}: its {name} has more than {most:,} bytes ({LIMITS}=json_bytes=... allows more)")
    return _check_object(parse_json(archive.read(name), f"{path}: its {name}"), f"{path}: its {name}")


def _check_object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{what} is no JSON object; is the file damaged?")
    return value


def _is_whole(archive: zipfile.ZipFile, name: str) -> bool:
    try:
        with archive.open(name) as file:
            while file.read(1 << 20):
                pass
    except zipfile.BadZipFile:
        return False
    return True


def _error_text(error: Exception) -> str:
    return printable(brief_message(str(error) or type(error).__name__, 160))


def _read_hdf5(path: Path) -> ModelFile:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            text, writer = (file.attrs.get(key) for key in ("model_config", "keras_version"))
    except Exception as error:  # h5py raises a dozen kinds over a damaged file
        raise InputError(f"{path}: damaged or truncated HDF5 file ({_error_text(error)}); copy it again") from error
    if text is None:
        raise InputError(
            f"{path}: holds weights only, not the model; build the model in Python, load_weights() this file, "
            "and save all of it with model.save('model.keras')"
        )
    keras_archive.check_hdf5(path, path)
    if not isinstance(text, (str, bytes)):
        raise InputError(f"{path}: its model_config is no text; is the file damaged?")
    config = _check_object(parse_json(text, f"{path}: its model_config"), f"{path}: its model_config")
    return ModelFile(path, "h5", "2" if writer is None else _decode_text(writer), config)


def _decode_text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def as_float32(config: Any) -> Any:
    """The same configuration with every half-precision dtype or dtype policy replaced by float32."""
    if isinstance(config, list):
        return [as_float32(item) for item in config]
    if not isinstance(config, dict):
        return config
    inner = config.get("config")
    if config.get("class_name") in ("DTypePolicy", "Policy", "FloatDTypePolicy", "PolicyV1") and isinstance(
        inner, dict
    ):
        return {**config, "config": {**inner, "name": "float32"}} if str(inner.get("name")) in HALF else config
    return {
        key: "float32" if key == "dtype" and isinstance(item, str) and item in HALF else as_float32(item)
        for key, item in config.items()
    }


def make_loadable(file: ModelFile, folder: Path) -> tuple[Path, list[str]]:
    """A path that Keras takes (with the right suffix, float32 throughout; a copy in `folder` if need be) and notes on it."""
    float_config = as_float32(file.config)
    suffix = f".{file.kind}"
    if float_config == file.config and file.path.suffix == suffix:
        return file.path, []
    copy = folder / f"model{suffix}"
    if file.kind == "keras":
        with zipfile.ZipFile(file.path) as source, zipfile.ZipFile(copy, "w") as target:
            for name in source.namelist():
                target.writestr(name, json.dumps(float_config) if name == "config.json" else source.read(name))
    else:
        import h5py

        shutil.copyfile(file.path, copy)
        with h5py.File(copy, "r+") as target5:
            target5.attrs.modify("model_config", json.dumps(float_config).encode())
    notes = ["half-precision policy: run and converted in float32"] if float_config != file.config else []
    return copy, notes
