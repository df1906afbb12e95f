"""What `.keras` archives and HDF5 files hold, judged before anything of it is unpacked or read into memory.

Both formats can point at other files of the machine (names with `..`, links, external storage), and declare far more than
they hold. Whatever does is refused, with --allow-unsafe too: it is no model any more.
"""

from __future__ import annotations

import math
import stat
import zipfile
from pathlib import Path
from typing import Any

from edgeship.errors import InputError
from edgeship.untrusted import (
    LIMITS,
    RATIO_FROM,
    check_unpacked,
    damage_as_input_error,
    limits,
    place_within,
    printable,
)

PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def check_archive(path: Path, archive: zipfile.ZipFile) -> None:
    """Raises InputError for an archive with too many or too large entries, with links, with odd or repeated names."""
    check_unpacked(path, archive)
    names: set[str] = set()
    for entry in archive.infolist():
        _check_entry(path, entry)
        name = entry.filename.rstrip("/").casefold()
        if name in names:
            raise InputError(f"{path}: holds '{printable(entry.filename)}' twice; save the model again")
        names.add(name)


def _check_entry(path: Path, entry: zipfile.ZipInfo) -> None:
    if entry.orig_filename != entry.filename:
        raise InputError(f"{path}: the name {printable(entry.orig_filename)!r} in it is not one of a plain file")
    place_within(path, entry.filename.removesuffix("/"))
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise InputError(f"{path}: '{printable(entry.filename)}' in it is a link or a device, not a regular file")
    if entry.compress_type not in PACKED or entry.flag_bits & 1:
        raise InputError(f"{path}: '{printable(entry.filename)}' in it is encrypted or packed in an unknown way")


def check_hdf5(path: object, source: Path | bytes) -> None:
    """Raises InputError for an HDF5 file that points elsewhere: links, external or virtual storage, sizes out of bounds.

    `source` is the file, or its content.
    """
    import h5py

    links: list[tuple[bytes, int]] = []
    with damage_as_input_error(path), _open_hdf5(source) as file:
        file.id.links.visit(lambda name, info: links.append((name, info.type)), info=True)
        if len(links) > limits().files:
            raise InputError(f"{path}: more than {limits().files:,} parts ({LIMITS}=files=... allows more)")
        for name, kind in links:
            part = printable(name.decode(errors="replace"))
            if kind != h5py.h5l.TYPE_HARD:
                raise InputError(f"{path}: '{part}' in it is a link to elsewhere; save the model again as one file")
            identifier = h5py.h5o.open(file.id, name)
            if h5py.h5a.get_num_attrs(identifier):
                list(file[name].attrs.values())  # what cannot be read is found here and not in Keras
            if isinstance(identifier, h5py.h5d.DatasetID):
                _check_dataset(path, part, identifier)


def _open_hdf5(source: Path | bytes) -> Any:
    import h5py

    return h5py.File(h5py.h5f.open_file_image(source) if isinstance(source, bytes) else source, "r")


def _check_dataset(path: object, name: str, dataset: Any) -> None:
    import h5py

    storage, most = dataset.get_create_plist(), limits()
    if storage.get_layout() == h5py.h5d.VIRTUAL or storage.get_external_count():
        raise InputError(f"{path}: '{name}' in it is kept in another file; save the model again as one file")
    declared_bytes = math.prod(dataset.shape or ()) * dataset.get_type().get_size()
    if declared_bytes > most.tensor_bytes:
        raise InputError(
            f"{path}: '{name}' in it declares {declared_bytes:,} bytes, at most {most.tensor_bytes:,} are taken "
            f"({LIMITS}=tensor_bytes=... allows more)"
        )
    if declared_bytes > RATIO_FROM and declared_bytes > most.unpacked_ratio * max(dataset.get_storage_size(), 1):
        raise InputError(
            f"{path}: '{name}' in it declares {declared_bytes:,} bytes, far more than the file holds "
            f"({LIMITS}=unpacked_ratio=... allows more)"
        )
