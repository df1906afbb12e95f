"""The files that a bundle's manifest and its artifacts name: relative, inside, and listed with their digests.

That they are regular files and no links is known before: `untrusted.tree_files` lists nothing else.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping
from pathlib import Path

from edgeship.bundle.manifest import Manifest
from edgeship.errors import InputError
from edgeship.formats import formats
from edgeship.storage import digest
from edgeship.untrusted import LIMITS, SHOWN, damage_as_input_error, limits, place_within, printable, read_json

# Which fields of ONNX's messages lead to the entries of external data (onnx.proto): by field number the kind inside.
_ONNX: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
    "entry": {1: "key", 2: "value"},
}
_FIXED = {1: 8, 5: 4}  # bytes of a value, by wire type


def check_named_files(root: Path, manifest: Manifest, files: Mapping[str, Path], *, part: bool = False) -> None:
    """Raise InputError where something names a file outside, or one that is not in `files` (paths by relative name).

    `part`: a page's part of a bundle, which leaves the server model behind.
    """
    for item in manifest.artifacts:
        path = place_within(root, item.path)
        form = formats.find(item.format)
        if form.is_folder and not item.path.endswith(f"/{form.main_file}"):
            raise InputError(f"{printable(root)}: {item.id} lies in {item.path}, not in a folder's {form.main_file}")
        _check_listed(root, path, files, f"the artifact {item.id}")
        if item.format == "tfjs":
            for name in weight_files(path):
                _check_listed(root, place_within(path.parent, name), files, f"{item.path}: its weights")
        elif item.format == "onnx" and (names := external_data(path)):
            # The artifact's digests cover its own file: other weights could be put beside it after it was measured.
            problem = f"{item.path} keeps weights in another file ({printable(names[0])[:SHOWN]})"
            raise InputError(f"{printable(root)}: {problem}, which no bundle may; make the bundle again")
    if part:
        return
    server = manifest.server.path
    place_within(root, server)
    if server not in files and not any(name.startswith(f"{server}/") for name in files):
        raise InputError(f"{printable(root)}: the server model {server} is not among the bundle's files")
    if manifest.server.digest not in _possible_digests(root, server, manifest.files):
        problem = f"the server model {server} is not the one that its manifest describes"
        raise InputError(f"{printable(root)}: {problem} (its digest is another); make the bundle again")


def _possible_digests(root: Path, name: str, files: Mapping[str, str]) -> set[str]:
    """What the digest of a file or folder of the bundle may be, by those of its files.

    Empty folders get lost where a bundle is archived, and a SavedModel has one: `assets`. Earlier versions' digests of
    folders did not cover any.
    """
    if name in files:
        return {files[name]}
    inside = {key.removeprefix(f"{name}/"): value for key, value in files.items() if key.startswith(f"{name}/")}
    folders = {path.relative_to(root / name).as_posix() for path in (root / name).rglob("*") if path.is_dir()}
    trees = (digest.of_tree(inside, folders), digest.of_tree(inside, {*folders, "assets"}))
    return {*trees, digest.of_json(inside)}


def _check_listed(root: Path, path: Path, files: Mapping[str, Path], what: str) -> None:
    if path.relative_to(root).as_posix() not in files:
        name = printable(path.relative_to(root).as_posix())
        raise InputError(f"{printable(root)}: {what}: {name} is not among the bundle's files")


def weight_files(path: Path) -> list[object]:
    """The paths of weights in a TF.js `model.json`, as it has them."""
    model = read_json(path)
    with damage_as_input_error(path):
        names = [name for group in model.get("weightsManifest", []) for name in group["paths"]]
        check_shards(path, names)
    return names


def check_shards(path: Path, names: list[object]) -> None:
    """Raise InputError where a TF.js `model.json` names too many weight files, or one twice: it would be read as often."""
    if len(names) > limits().files:
        raise InputError(
            f"{printable(path)}: more than {limits().files:,} weight files ({LIMITS}=files=... allows more)"
        )
    if len(set(names)) < len(names):
        raise InputError(f"{printable(path)}: names a weight file twice; convert the model again")


def external_data(path: Path) -> list[str]:
    """The files that an `.onnx` keeps tensors in beside itself, as it names them; read without running or loading it."""
    if not path.stat().st_size:
        return []
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content.find(b"location") < 0:  # the key of every entry that names a file
            return []
    with damage_as_input_error(path):
        return list(dict.fromkeys(_external_locations(memoryview(path.read_bytes()))))


def _external_locations(content: memoryview) -> Iterator[str]:
    pending = [("model", content)]
    while pending:
        kind, message = pending.pop()
        entries = [(_ONNX[kind][number], value) for number, value in _message_fields(message) if number in _ONNX[kind]]
        if kind != "entry":
            pending += entries
        elif b"location" in [bytes(value) for name, value in entries if name == "key"]:
            yield from (bytes(value).decode() for name, value in entries if name == "value")


def _message_fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """The fields of a protobuf message that hold bytes: number and content. Raises ValueError for a damaged one."""
    at = 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        kind = tag & 7
        if kind == 0:
            _, at = _read_varint(message, at)
        elif kind == 2:
            size, at = _read_varint(message, at)
            yield tag >> 3, message[at : at + size]
            at += size
        elif kind in _FIXED:
            at += _FIXED[kind]
        else:
            raise ValueError(f"wire type {kind}")
    if at != len(message):
        raise ValueError("it ends in the middle of a field")


def _read_varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            break
        value |= (message[at] & 0x7F) << shift
        at += 1
        if message[at - 1] < 0x80:
            return value, at
    raise ValueError("a number without an end")
