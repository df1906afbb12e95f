"""`edgeship inspect`: the receipts of a stranger's model files."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

from edgeship import untrusted
from edgeship.bundle import bundle as bundles
from edgeship.bundle.receipt import Receipt
from edgeship.convert.receipts import receipt
from edgeship.errors import InputError, ProcessError
from edgeship.formats import formats
from edgeship.processes.child import FunctionProcess
from edgeship.typed_json import convert

# What is read in a process of its own: some models crash the library that reads them, or never let go of it.
APART = tuple(name for name, form in formats.ALL.items() if form.reads_apart)


def read_receipts(path: Path) -> dict[str, Receipt]:
    """The receipt of an artifact, or of every artifact of a bundle, by name. Raises InputError where it is neither."""
    with contextlib.ExitStack() as stack:
        child = cache(lambda: stack.enter_context(FunctionProcess("inspect")))
        manifest = path / bundles.MANIFEST
        if not manifest.is_file():
            return {path.name: read_receipt(path, None, child)}
        try:
            rows = [(item["id"], item["path"], item["format"]) for item in untrusted.read_json(manifest)["artifacts"]]
        except (KeyError, TypeError) as error:
            raise InputError(f"{untrusted.printable(manifest)}: not the manifest of a bundle ({error})") from error
        return {str(name): read_receipt(untrusted.place_within(path, place), kind, child) for name, place, kind in rows}


def find_damage(path: Path) -> str:
    """Why a bundle, or a page's part of one, cannot be opened; empty where it can, or is no bundle."""
    if not (path / bundles.MANIFEST).is_file():
        return ""
    reasons = []
    for part in (False, True):
        try:
            bundles.open_bundle(path, part=part)
        except InputError as error:
            reasons.append(str(error))
        else:
            return ""
    return reasons[0]


def read_receipt(path: Path, format: str | None, child: Callable[[], FunctionProcess]) -> Receipt:
    """The receipt of a stranger's artifact; `child` is where one is read that has a format of `APART`."""
    with untrusted.damage_as_input_error(path):
        kind = format or (receipt.format_of(path) if path.exists() else "")
    if kind not in APART:
        return receipt.read(path, format)
    try:
        content = child().call_within(
            untrusted.limits().read_seconds,
            receipt.read_apart,
            path=str(path.absolute()),
            format=kind,
        )
    except ProcessError as error:
        longer = f"; {untrusted.LIMITS}=read_seconds=... gives it longer" if "took longer than" in str(error) else ""
        raise InputError(
            f"{untrusted.printable(path)}: {kind} cannot be read, is the file damaged, or made to do that? ({error}{longer})"
        ) from error
    with untrusted.damage_as_input_error(path):
        return convert(Receipt, content)
