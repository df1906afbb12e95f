"""The contract with the app: `contract.json`, and the goldens as an app has them in hand beside those that artifacts are run on.

What no golden is yet (a larger picture, a turned one) is run with them: `extra` samples behind the goldens' own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.bundle.manifest import Manifest
from edgeship.data import Batch, arrays_digest, load, save
from edgeship.deploy.contract.names import SERVER, name_contract
from edgeship.light_dataclass import dataclass
from edgeship.pipeline.step_queue import StepTools
from edgeship.server_model.description import ServerModelDescription
from edgeship.settings.config import Config
from edgeship.storage import digest
from edgeship.types import to_json

EXTRA = "extra.npz"
FILES = "raw.bin"  # the contents of all files one after the other: to look after one file is quicker
NO_ROWS = "the outputs have no row for each sample, so that no sample can be replayed by itself"
NO_FLOATS = "the data's numbers are larger than float32 tells apart"


@dataclass(frozen=True)
class RawGoldens:
    """The contract's `inputs` and raw `cases`, as JSON, and the row of what was run that belongs to each case.

    `samples` are the goldens' inputs, (n, ...) by name; `extra` those that cases need beside. `packed`: where the contents of
    `files` are, the raw values and tensors by name and size. `pictures` is what a manifest says of inputs that are pictures.
    `reason`: why there are no cases.
    """

    inputs: Sequence[Any]
    samples: Batch
    samples_digest: str
    cases: Sequence[Any] = ()
    rows: tuple[int, ...] = ()
    extra: Batch = field(default_factory=dict)
    packed: Path | None = None
    files: Sequence[tuple[str, int]] = ()
    pictures: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""

    @cached_property
    def feeds(self) -> Batch:
        """What is run: the goldens' inputs, and the extra ones behind them."""
        if not self.extra:
            return self.samples
        return {name: np.concatenate([array, self.extra[name]]) for name, array in self.samples.items()}

    @property
    def digest(self) -> str:
        """The digest of `feeds`."""
        return digest.of_json([self.samples_digest, arrays_digest(self.extra)]) if self.extra else self.samples_digest

    def without_cases(self, reason: str) -> RawGoldens:
        """The same without raw goldens."""
        return replace(self, cases=(), rows=(), extra={}, packed=None, files=(), reason=reason)

    def write(self, folder: Path, server: Batch, own: Mapping[str, Batch]) -> None:
        """Write the raw goldens to a new folder, with the outputs for `feeds` of the server model and of artifacts by id."""
        folder.mkdir(parents=True)
        for name, content in (*self._input_files(), *self._output_files({SERVER: server, **own})):
            (folder / name).write_bytes(content)

    def _input_files(self) -> Iterator[tuple[str, bytes]]:
        content, start = self.packed.read_bytes() if self.packed else b"", 0
        for name, size in self.files:
            yield name, content[start : start + size]
            start += size

    def _output_files(self, outputs: Mapping[str, Batch]) -> Iterator[tuple[str, bytes]]:
        """float32 in C order, little endian."""
        rows = list(self.rows)
        for source, arrays in outputs.items():
            for output, array in arrays.items():
                yield f"{output}.{source.replace('/', '-')}", np.ascontiguousarray(array[rows], "<f4").tobytes()


def find_raw_goldens(
    work: StepTools, server: ServerModelDescription, samples: Batch, settings: Config, *, real: bool
) -> RawGoldens:
    """The contract's inputs and the raw cases of goldens; `real`: they are the user's data.

    Raises InputError where a table of the configuration does not fit the model or the data.
    """
    samples_digest = arrays_digest(samples)
    key = {
        "inputs": to_json(server.inputs),
        "outputs": to_json(server.outputs),
        "samples": samples_digest,
        "stated": to_json(settings.input),
        "real": real,
    }
    entry = work.cache.get("raw-goldens", key, lambda folder: _make(folder, server, samples, settings, real))
    found: dict[str, Any] = entry.result
    return RawGoldens(
        inputs=found["inputs"],
        samples=samples,
        samples_digest=samples_digest,
        cases=found["cases"],
        rows=tuple(found["rows"]),
        extra=load(entry.path / EXTRA) if EXTRA in entry.files else {},
        packed=entry.path / FILES if found["cases"] else None,
        files=found["files"],
        pictures=found["pictures"],
        reason=found["reason"],
    )


def _make(folder: Path, server: ServerModelDescription, samples: Batch, settings: Config, real: bool) -> dict[str, Any]:
    import msgspec

    from edgeship.bundle import preprocessing
    from edgeship.deploy.contract import raw_goldens
    from edgeship.deploy.contract.contract import GoldenCase
    from edgeship.deploy.contract.describe import describe_inputs

    inputs = describe_inputs(server.inputs, samples, settings.input, source=settings.source, real=real)
    pictures = preprocessing.describe_pictures(server.inputs, samples) if real else {}
    result: dict[str, Any] = {"inputs": msgspec.to_builtins(inputs), "pictures": to_json(pictures)}
    if reason := _refusal(samples):
        return {**result, "cases": [], "rows": [], "files": [], "reason": reason}
    cases = raw_goldens.make_cases(inputs, samples)
    if any(None in spec.shape[1:] for spec in server.outputs):  # other samples beside them may change their answers
        cases = [case for index, case in enumerate(cases) if _find_row(case, samples, index) is not None]
    rows, extra = _place_rows(cases, samples)
    contents = dict(raw_goldens.input_files(inputs, cases))
    (folder / FILES).write_bytes(b"".join(contents.values()))
    if extra:
        save(folder / EXTRA, {name: np.concatenate([tensors[name] for tensors in extra]) for name in samples})
    listed = [GoldenCase(case.name, case.sizes) for case in cases]
    reason = "" if cases else NO_ROWS
    files = [[name, len(content)] for name, content in contents.items()]
    return {**result, "cases": to_json(listed), "rows": rows, "files": files, "reason": reason}


def _refusal(samples: Batch) -> str:
    count = {len(array) if array.ndim else 0 for array in samples.values()}
    if len(count) > 1 or not count - {0}:
        return NO_ROWS
    exact = all(np.array_equal(array.astype(np.float32).astype(array.dtype), array) for array in samples.values())
    return "" if exact else NO_FLOATS


def _place_rows(cases: Sequence[Any], samples: Batch) -> tuple[list[int], list[Batch]]:
    """The row of each case in what is run, and the tensors (1, ...) of those that are no golden as they are."""
    count, extra, rows = len(next(iter(samples.values()))), list[Batch](), list[int]()
    for index, case in enumerate(cases):
        row = _find_row(case, samples, index)
        if row is None:
            row = count + len(extra)
            extra.append({name: tensor.astype(samples[name].dtype) for name, tensor in case.tensors.items()})
        rows.append(row)
    return rows, extra


def _find_row(case: Any, samples: Batch, index: int) -> int | None:
    """The golden that a case is, where its tensors are that to the byte."""
    if any(index >= len(array) for array in samples.values()):
        return None
    same = all(
        np.array_equal(case.tensors[name].reshape(-1), array[index].astype(np.float32).reshape(-1))
        for name, array in samples.items()
    )
    return index if same else None


def find_contract(
    work: StepTools,
    model: Path,
    manifest: Manifest,
    server: ServerModelDescription,
    golden: tuple[RawGoldens, Batch],
    clear: Mapping[str, Mapping[str, Sequence[int]]],
    settings: Config,
) -> str:
    """The text of `contract.json` for a manifest; `golden`: with the server model's answers, `clear`: `GoldenRuns.find_clear`."""
    (raw, expected), name = golden, name_contract(model)
    runs = manifest.goldens.artifacts if manifest.goldens else {}
    key = {
        "name": name,
        "server": [manifest.server.digest, to_json(server.outputs), server.activations],
        "artifacts": [[item.path, item.digest, item.content, runs[item.id].tolerance] for item in manifest.artifacts],
        "labels": [settings.data.labels, settings.benchmark.output, to_json(settings.output)],
        "raw": [raw.digest, raw.inputs, raw.cases, raw.rows, raw.reason],
        "answers": [arrays_digest(expected), clear],
    }

    def make(_: Path) -> str:
        from edgeship import typed_json
        from edgeship.deploy.contract import build
        from edgeship.deploy.contract.contract import GoldenCase, contract_json
        from edgeship.deploy.contract.contract import RawGoldens as ListedGoldens
        from edgeship.deploy.contract.inputs import ContractInput

        inputs = typed_json.convert(tuple[ContractInput, ...], raw.inputs)
        labels, chosen = settings.data.labels, settings.benchmark.output
        outputs = build.describe_outputs(server.outputs, server.activations, labels, chosen, expected, settings.output)
        listed = typed_json.convert(tuple[GoldenCase, ...], list(raw.cases))
        cases = build.label_cases(listed, raw.rows, outputs, expected, clear)
        goldens = ListedGoldens(samples=len(cases), cases=cases, reason=raw.reason)
        return contract_json(build.build_contract(name, manifest, inputs, outputs, goldens))

    text: str = work.cache.get("contract", key, make).result
    return text
