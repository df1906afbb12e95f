"""The web demo of a bundle: the built page with the bundle's browser part beside it, as a folder for any static host.

The browser part (`bundle/` in the folder) is a bundle of its own: TF.js artifacts, goldens, a few samples and a manifest
with the digest of each. What only the maker's machine needs stays behind: paths, the server model, measurements' details.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgeship import data
from edgeship.benchmarks.gate.gate import judge_again
from edgeship.bundle import bundle as bundles
from edgeship.bundle import preprocessing
from edgeship.bundle.bundle import Bundle
from edgeship.bundle.figures.comparisons import AccuracyReport
from edgeship.bundle.figures.measurement import Measurement, MeasurementDetails
from edgeship.bundle.head_learning import FILE as LEARNING
from edgeship.bundle.head_learning import FOLDER as LEARNING_FOLDER
from edgeship.bundle.manifest import ArtifactEntry, Manifest, PageSamples, ServerModelEntry
from edgeship.bundle.verdict import GateResult
from edgeship.data import Array, RepresentativeDataset
from edgeship.demo import page_settings as settings
from edgeship.deploy.contract.build import part_of_contract
from edgeship.deploy.contract.contract import FOLDER, Contract, contract_json, read_contract
from edgeship.deploy.contract.file import write_contract
from edgeship.errors import InputError, MissingDependencyError, ProcessError
from edgeship.processes.environment import NETWORK, child_environment, find_program
from edgeship.runtimes import tfjs_node
from edgeship.storage import atomic, digest
from edgeship.types import to_json
from edgeship.untrusted import damage_as_input_error

SAMPLES = 24
PROFILE = "profile.json"
INSTALLED = Path(__file__).parents[1] / "page"
CHECKOUT = Path(__file__).resolve().parents[3] / "web-demo"


def built_page() -> Path:
    """The folder of the built page: the one that came with edgeship, or the checkout's, built again where it is old.

    Raises MissingDependencyError where it would have to be built and Node with npm is missing or too old.
    """
    if not (CHECKOUT / "package.json").is_file():
        if (INSTALLED / "index.html").is_file():
            return INSTALLED
        raise MissingDependencyError(
            "this edgeship was installed without its demo page: install one that was built with it (`make wheel` in a checkout)"
        )
    service_worker = CHECKOUT / "dist" / "sw.js"
    sources = [path for name in ("src", "public") for path in (CHECKOUT / name).rglob("*") if path.is_file()]
    sources += [CHECKOUT / name for name in ("index.html", "vite.config.ts", "package-lock.json")]
    if not service_worker.is_file() or service_worker.stat().st_mtime < max(path.stat().st_mtime for path in sources):
        _build_page()
    return service_worker.parent


def _build_page() -> None:
    if reason := tfjs_node.build_problem():
        raise MissingDependencyError(f"the demo page is not built, and building it {reason}")
    npm = find_program("npm") or ""
    steps = [[npm, "run", "build"]]
    if not _has_packages():
        steps.insert(0, [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"])
    for step in steps:
        env = child_environment(None, NETWORK)
        process = subprocess.run(
            step, cwd=CHECKOUT, capture_output=True, encoding="utf-8", errors="replace", check=False, env=env
        )
        if process.returncode:
            tail = "\n".join((process.stdout + process.stderr).strip().splitlines()[-5:])
            raise ProcessError(f"`{' '.join(step[1:])}` in web-demo failed:\n{tail}")


def _has_packages() -> bool:
    """Whether the packages that the page is made of are installed, in the versions of the lock file."""
    installed = CHECKOUT / "node_modules" / ".package-lock.json"
    if not installed.is_file():
        return False
    wanted, found = (
        json.loads(path.read_text(encoding="utf-8"))["packages"] for path in (CHECKOUT / "package-lock.json", installed)
    )
    needed = {name: item for name, item in wanted.items() if name and not item.get("optional")}
    return all(found.get(name, {}).get("version") == item["version"] for name, item in needed.items())


def write_site(
    bundle: Bundle, out: Path, page_folder: Path, samples: str | None = None, reports: str | None = None
) -> Manifest:
    """Write the page and the bundle's browser part into the folder `out`, replacing a site that is there.

    `samples` is a data source with labelled samples to choose from, beside the goldens. `reports`: where those who agree send
    counts to. Returns the site's manifest.
    Raises InputError where the bundle has nothing that a page can run, or where `out` is another folder in use.
    """
    artifacts = [item for item in bundle.manifest.artifacts if item.format == "tfjs"]
    if not artifacts:
        raise InputError(f"{bundle.root}: no TF.js artifact in it; `edgeship convert MODEL --to tfjs` makes one")
    if any(item.foreign for item in artifacts):  # the page knows nothing of other names and axes
        raise InputError(f"{bundle.root}: its TF.js model is of unknown origin; the page runs those that edgeship made")
    if out.exists() and any(out.iterdir()) and not ((out / "sw.js").is_file() and bundles.is_bundle(out / "bundle")):
        raise InputError(f"{out}: exists and is not a demo; choose another --out")
    if reports and PROFILE not in bundle.manifest.files:
        raise InputError(
            f"{bundle.root}: has no {PROFILE}, by which a page counts; `edgeship ship` with evaluation data writes one"
        )
    with atomic.atomic_folder(out.absolute()) as draft:
        shutil.copytree(page_folder, draft)
        if reports:
            place = settings.ReportsPlace(reports, digest.of_path(bundle.root / bundles.MANIFEST))
            settings.embed_reports(draft, place)
        more = (*((PROFILE,) if reports else ()), *_list_learning_files(bundle))
        return _write_bundle(bundle, draft / "bundle", artifacts, samples, more)


def _list_learning_files(bundle: Bundle) -> Sequence[str]:
    """What a page teaches a model with: it runs the base in float32 and the training step by ONNX Runtime Web."""
    learning = bundle.manifest.learning
    bases = (
        [item.file for item in learning.bases if (item.format, item.variant) == ("onnx", "float32")] if learning else []
    )
    if not learning or not bases or "onnx" not in learning.steps:
        return ()
    names = (LEARNING, *bases, learning.steps["onnx"], learning.head, learning.replay)
    return [f"{LEARNING_FOLDER}/{name}" for name in names]


def _write_bundle(
    bundle: Bundle, target: Path, artifacts: Sequence[ArtifactEntry], source: str | None, more: Sequence[str]
) -> Manifest:
    shutil.rmtree(target, ignore_errors=True)
    goldens = ["goldens/inputs.npz", "goldens/outputs.npz", *more]
    goldens += [f"goldens/{item.id.replace('/', '-')}.npz" for item in artifacts]
    folders = tuple(f"{Path(item.path).parent.as_posix()}/" for item in artifacts)
    for name in bundle.manifest.files:
        if name in goldens or name.startswith(folders):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(bundle.root / name, target / name)
    with damage_as_input_error(bundle.root / bundles.MANIFEST):  # its figures may be none
        judged = judge_again(bundle.manifest)
        manifest = _select_part(judged, artifacts, data.load(bundle.root / "goldens" / "inputs.npz"))
    manifest = replace(manifest, source=digest.of_json(to_json(bundle.manifest)))
    if contract := read_contract(bundle.root):
        raw = _copy_raw_goldens(bundle, contract, target)
        ids = {item.id for item in artifacts}
        write_contract(target, contract_json(part_of_contract(contract, ids, goldens=raw)))
    if source:
        manifest = replace(manifest, samples=_write_samples(bundle, target, source))
    bundles.seal_bundle(target, manifest)
    return bundles.open_bundle(target, part=True).manifest


def _copy_raw_goldens(bundle: Bundle, contract: Contract, target: Path) -> bool:
    """Take along the raw goldens with their tensors where some are pictures, which a page replays; tells whether it did."""
    names = [f"{FOLDER}/{item.name}.{kind}" for item in contract.inputs for kind in ("raw", "tensor")]
    pictures = any(item.kind == "image" for item in contract.inputs)
    if not pictures or not all(name in bundle.manifest.files for name in names):
        return False
    (target / FOLDER).mkdir(parents=True, exist_ok=True)
    for name in names:
        shutil.copyfile(bundle.root / name, target / name)
    return True


def _select_part(full: Manifest, artifacts: Sequence[ArtifactEntry], inputs: Mapping[str, Array]) -> Manifest:
    """What a page needs of a manifest."""
    server, ids = full.server, {item.id for item in artifacts}
    return Manifest(
        files={},
        artifacts=tuple(replace(item, receipt=None) for item in artifacts),
        measurements=tuple(_select_figures(item) for item in full.measurements if item.artifact in ids),
        created=full.created,
        labels=full.labels,
        server_model=ServerModelEntry(server.path, server.digest, server.inputs, server.outputs, server.parameters),
        gate=GateResult(full.gate.verdict) if full.gate else None,
        goldens=full.goldens,
        preprocessing=full.preprocessing or to_json(preprocessing.describe_pictures(server.inputs, inputs)),
        server_measurement=full.server_measurement,
    )


def _select_figures(item: Measurement) -> Measurement:
    """A measurement with its metrics and, of its details, the accuracy with its interval."""
    full, accuracy = item.details.accuracy, None
    if full:
        accuracy = AccuracyReport(
            metric=full.metric,
            share=full.share,
            n=full.n,
            value=full.value,
            server=full.server,
            low=full.low,
            high=full.high,
        )
    return replace(item, details=MeasurementDetails(accuracy=accuracy))


def _write_samples(bundle: Bundle, target: Path, source: str) -> PageSamples:
    """A few samples, evenly spread over the data, with their classes where it has some."""
    dataset = RepresentativeDataset(source)
    inputs = bundle.manifest.server.inputs
    parts = list(dataset.feeds(inputs, SAMPLES, SAMPLES))
    arrays = {spec.name: _narrow_bytes(np.concatenate([part[spec.name] for part in parts])) for spec in inputs}
    labels = dataset.labels(SAMPLES, inputs).get("y")
    if labels is not None and labels.ndim == 1 and labels.dtype.kind in "iu":
        arrays["y"] = labels.astype(np.int32)
    data.save(target / "samples.npz", arrays)
    name = "Test data" if Path(source).stem.startswith("evaluation") else Path(source).name
    return PageSamples("samples.npz", name, len(arrays[inputs[0].name]))


def _narrow_bytes(array: Array) -> Array:
    """Bytes that are stored as floats travel as bytes."""
    as_bytes = array.astype(np.uint8) if array.size and array.min() >= 0 and array.max() <= 255 else None
    return as_bytes if as_bytes is not None and np.array_equal(as_bytes, array) else array
