"""A stranger's file becomes an artifact: copied, read apart, opened in a worker, and matched with the server model."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from edgeship import untrusted
from edgeship.bundle import named_files
from edgeship.bundle.manifest import ArtifactEntry, ForeignFile
from edgeship.bundle.receipt import Receipt
from edgeship.convert.receipts.receipt import format_of
from edgeship.data import Batch
from edgeship.errors import EdgeshipError, InputError, MissingDependencyError
from edgeship.formats import formats
from edgeship.pipeline import inspection
from edgeship.pipeline.foreign import answers
from edgeship.pipeline.foreign.matching import MatchOptions, Sides, match_tensors
from edgeship.processes.child import FunctionProcess
from edgeship.runtimes import registry
from edgeship.runtimes.session import Session, open_session
from edgeship.runtimes.worker_pool import Pool
from edgeship.storage import digest
from edgeship.types import Bridge
from edgeship.untrusted import printable

# Custom operators that LiteRT has kernels for all the same (tflite/core/kernels/register.cc).
KNOWN_CUSTOM = frozenset({"AudioSpectrogram", "Mfcc", "NumericVerify", "TFLite_Detection_PostProcess"})
LONGEST_VARIANT = 60


def copy_files(files: Iterable[Path], draft: Path) -> list[ArtifactEntry]:
    """The files in a draft, each as an entry without receipt, called by its own name. Raises InputError for what is no model."""
    entries: dict[str, ArtifactEntry] = {}
    for path in files:
        with untrusted.damage_as_input_error(path):
            kind = format_of(path) if path.exists() else None
        if kind is None:
            raise InputError(f"{printable(path)}: no such file or folder")
        form = formats.find(kind)
        main = path / form.main_file if form.is_folder and path.is_dir() else path
        name = (main.absolute().parent if form.is_folder else main.with_suffix("")).name
        variant = _free_variant(kind, name, entries)
        target = draft / form.path_in_bundle(variant)
        target.parent.mkdir(parents=True, exist_ok=True)
        for part in _parts_of(kind, main):
            place = target.parent / part if form.is_folder else target
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(untrusted.regular_file(main.parent / part, links=True), place)
        content = digest.of_path(form.place(target))
        entry = ArtifactEntry(
            id=f"{kind}/{variant}",
            path=target.relative_to(draft).as_posix(),
            format=kind,
            variant=variant,
            digest=content,
            content=content,
            foreign=ForeignFile(printable(path.name or path)[:LONGEST_VARIANT]),
        )
        entries[entry.id] = entry
    return list(entries.values())


def _free_variant(kind: str, name: str, taken: Iterable[str]) -> str:
    """A name of letters, digits and `._-` that no other file of the format has."""
    plain = re.sub(r"[^\w.-]", "_", name).strip(".")[:LONGEST_VARIANT] or "model"
    names, number, variant = set(taken), 1, plain
    while f"{kind}/{variant}" in names:
        number += 1
        variant = f"{plain}-{number}"
    return variant


def _parts_of(kind: str, main: Path) -> list[str]:
    """The files that an artifact consists of, relative to the folder of its main one."""
    if kind == "onnx" and (beside := named_files.external_data(untrusted.regular_file(main, links=True))):
        raise InputError(
            f"{printable(main)}: keeps weights in another file ({printable(beside[0])[: untrusted.SHOWN]})\n"
            "write it as one: onnx.save(onnx.load('model.onnx'), 'whole.onnx')"
        )
    shards = named_files.weight_files(main) if kind == "tfjs" else []
    return [
        main.name,
        *(untrusted.place_within(main.parent, name).relative_to(main.parent).as_posix() for name in shards),
    ]


def read_entry(draft: Path, entry: ArtifactEntry, child: Callable[[], FunctionProcess]) -> ArtifactEntry:
    """The entry with its receipt, read in a process of its own. Raises InputError for operators that no plain runtime has."""
    try:
        receipt = inspection.read_receipt(draft / entry.path, entry.format, child)
    except InputError as error:  # the user knows it by another path
        raise InputError(str(error).replace(printable(draft / entry.path), printable(entry.id))) from error
    _check_operators(receipt, printable(entry.id))
    return replace(entry, receipt=receipt)


def _check_operators(receipt: Receipt, where: str) -> None:
    custom = [name for name in receipt.custom_ops if receipt.format != "tflite" or name not in KNOWN_CUSTOM]
    for kind, names in (("TensorFlow (Flex)", receipt.flex_ops), ("custom", custom)):
        if names:
            shown = printable(", ".join(names[:5]))[: untrusted.SHOWN]
            raise InputError(
                f"{where}: holds {kind} operators that no plain runtime has: {shown}\n"
                "make the file again from built-in operators only"
            )


def match_entry(
    draft: Path, entry: ArtifactEntry, server: Sides, samples: tuple[Batch, Batch], options: MatchOptions, pool: Pool
) -> ArtifactEntry:
    """The entry with the inputs and outputs that its runtime tells, and how they are the server model's.

    `samples` are a few inputs and the server model's outputs for them, (n, ...) by name. Raises InputError where the file
    does not load or run, or cannot be compared with the server model; MissingDependencyError without its runtime.
    """
    where, path = printable(entry.id), draft / entry.path
    runtime = registry.for_format(entry.format)[0]

    def open_file(bridge: Bridge | None = None) -> Session:
        return open_session(runtime.name, path, pool=pool, bridge=bridge, timeout=untrusted.limits().replay_seconds)

    try:
        with open_file() as session:
            file = Sides(session.inputs, session.outputs)
        bridge, notes = match_tensors(server, file, options, where)
        with open_file(bridge) as session:
            seen = tuple(answers.describe_clipping(samples[0], session.inputs))
            got = session.run(samples[0])
    except (InputError, MissingDependencyError):
        raise
    except EdgeshipError as error:
        raise InputError(f"{where}: {runtime.title} cannot run it ({error})") from error
    answers.check_answers(samples[1], got, where)
    foreign = ForeignFile(entry.foreign.file if entry.foreign else "", (*notes, *seen), bridge)
    outputs = tuple(spec for spec in file.outputs if spec.name in bridge.names.values())
    return replace(entry, inputs=file.inputs, outputs=outputs, foreign=foreign)
