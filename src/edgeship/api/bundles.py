"""Bundles: opened, measured, judged, verified, debugged, reported. Each function takes an opened bundle or its path."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from edgeship.api.files import Data, MemoryFiles, list_names, optional_path, write_result
from edgeship.api.results import Verification
from edgeship.notices import set_visibility

if TYPE_CHECKING:
    from edgeship.bundle.bundle import Bundle
    from edgeship.bundle.figures.comparisons import LayerSensitivity
    from edgeship.bundle.figures.measurement import OperatorTimes
    from edgeship.bundle.manifest import Manifest
    from edgeship.bundle.verdict import GateResult
    from edgeship.deploy.signing.claims import SignatureCheck

AnyPath = str | os.PathLike[str]
AnyBundle: TypeAlias = "Bundle | AnyPath"
# What a bundle cannot grant, and a command that loads its model needs.
LOADING = frozenset({"custom_objects", "allow_unsafe"})
METRICS = frozenset({"metric", "metrics"})  # of [benchmark]: functions of the configuration


def open_bundle(path: AnyBundle) -> Bundle:
    """Read a bundle: its artifacts, and the manifest with measurements and verdict.

    Raises InputError where it is none, is of another schema, or was changed after it was written.
    """
    from edgeship.bundle import bundle as bundles

    return path if isinstance(path, bundles.Bundle) else bundles.open_bundle(path)


def measures_accuracy() -> bool:
    """Whether server models can be run here, which needs TensorFlow; without it no accuracy is measured."""
    from edgeship.pipeline.context import runs_server_models

    return runs_server_models()


def benchmark_bundle(
    bundle: AnyBundle,
    *,
    evaluation: Data | None = None,
    devices: Sequence[str] = (),
    runtimes: Sequence[str] = (),
    profile: str | None = None,
    config: AnyPath | None = None,
    custom_objects: str | None = None,
    allow_unsafe: bool = False,
    progress: bool = False,
) -> Bundle:
    """Measure every artifact, judge it by the bundle's budget or `config`'s, and write figures and report into the bundle.

    Figures in the cache are not taken again, but for times that the machine was too busy for. What lets code run is never
    taken from the bundle. Where accuracy cannot be measured (`measures_accuracy`) the bundle keeps the figures that it has,
    and the new ones are in the returned one only. Raises InputError for what cannot be used.
    """
    from edgeship.pipeline import ship
    from edgeship.pipeline.run_settings.of_bundle import BundleOptions, bundle_settings

    source = open_bundle(bundle)
    with set_visibility(progress), MemoryFiles() as files:
        options = BundleOptions(
            files.data_source(evaluation, "evaluation"),
            tuple(dict.fromkeys(list_names(devices, "devices"))),
            tuple(dict.fromkeys(list_names(runtimes, "runtimes"))),
            profile,
            custom_objects,
            allow_unsafe,
        )
        whole = measures_accuracy()
        required_keys = {"evaluation", "devices", *METRICS, *(LOADING if whole else ())}
        settings = bundle_settings(source, optional_path(config), options, required_keys)
        place = source.root
        if not whole:
            place = Path(files.enter_context(tempfile.TemporaryDirectory(prefix="edgeship-benchmark-"))) / "bundle"
        return replace(source, manifest=ship.benchmark_bundle(source, settings, place))


def lacks_times(bundle: Bundle) -> bool:
    """Whether a time was withheld because the machine was not quiet."""
    from edgeship.types import Availability

    metrics = (metric for item in bundle.manifest.measurements for metric in item.metrics)
    return any(metric.availability is Availability.UNSTABLE for metric in metrics)


def judge_bundle(
    bundle: AnyBundle,
    *,
    config: AnyPath | None = None,
    server: AnyPath | None = None,
    junit: AnyPath | None = None,
    markdown: AnyPath | None = None,
    progress: bool = False,
) -> GateResult:
    """The verdict on a measured bundle by its own budget, or by that of `config`: PASS, FAIL or INCONCLUSIVE.

    What was not measured is not a pass, nor is a bundle of another model than `server` (default: the file that the bundle's
    was copied from, where there is one). The checks are also written as JUnit XML and Markdown where these are asked for; the
    bundle stays as it is.
    """
    from edgeship.benchmarks.gate.budget import Budget
    from edgeship.benchmarks.gate.gate import judge
    from edgeship.benchmarks.gate.server_checks import check_server_file
    from edgeship.bundle.bundle import MANIFEST
    from edgeship.settings.config import Config
    from edgeship.untrusted import damage_as_input_error

    source = open_bundle(bundle)
    with set_visibility(progress):
        settings = Config.read(Path(config)) if config else None
    with damage_as_input_error(source.root / MANIFEST):  # its figures may be none
        settings = settings or Config.restore(source.manifest.config)
        result = judge(source.manifest, Budget.parse(settings.budget, settings.source))
        if check := check_server_file(source, optional_path(server)):
            result = result.with_check(check)
        write_checks(replace(source.manifest, gate=result), junit, markdown)
    return result


def write_checks(judged: Manifest, junit: AnyPath | None, markdown: AnyPath | None) -> None:
    """Write the checks of a judged manifest as JUnit XML and as Markdown, where these are asked for."""
    texts = {}
    if junit:
        from edgeship.benchmarks.report.junit import render as render_junit

        texts[Path(junit)] = render_junit(judged)
    if markdown:
        from edgeship.benchmarks.report.markdown import render as render_markdown

        texts[Path(markdown)] = render_markdown(judged)
    for path, text in texts.items():
        write_result(path, text)


def missing_artifacts(bundle: AnyBundle) -> tuple[str, ...]:
    """The artifacts that were asked for, could not be made, and are not optional in the bundle's budget, by id.

    `bundle.manifest.failures` says why, and what to try.
    """
    from edgeship.benchmarks.gate import gate

    manifest = open_bundle(bundle).manifest
    return gate.missing_artifacts(manifest) if manifest.failures else ()


def verify_bundle(
    bundle: AnyBundle, *, keys: Sequence[AnyPath] = (), threshold: int = 1, signature: AnyPath | None = None
) -> Verification:
    """Check that no file was changed, that raw goldens give their tensors, and replay goldens through every runtime present.

    `keys`: files with public keys (PEM), at least `threshold` of which must have signed all files as they are; without any, the
    bundle's own digests tell damage, but no forgery. `signature`: a file of OpenSSF model-signing by one of the keys, checked in
    place of the signature in the bundle. Raises InputError for a changed bundle, CheckError where there is nothing
    to replay, and for one that is not signed by these keys, of which then nothing is opened.
    """
    from edgeship.bundle.bundle import Bundle, find_root
    from edgeship.deploy.contract.check import check_contract
    from edgeship.pipeline.verify import replay_goldens, replay_problem

    root = bundle.root if isinstance(bundle, Bundle) else find_root(bundle)
    check = _check_signature(root, [Path(key) for key in keys], threshold, optional_path(signature))
    source = open_bundle(bundle)
    contract, replays = check_contract(source), replay_goldens(source)
    failures = [replay_problem(replays), *contract.problems[:1]]
    return Verification(tuple(replays), "; ".join(filter(None, failures)), contract, check)


def _check_signature(root: Path, keys: Sequence[Path], threshold: int, file: Path | None) -> SignatureCheck:
    from edgeship.deploy.signing.claims import read_claims
    from edgeship.errors import InputError

    if file is not None:
        from edgeship.deploy.signing import openssf

        if not keys or threshold != 1:
            raise InputError("a signature of OpenSSF's format is by one key: name it with --key, and no threshold")
        return openssf.check_signature(root, file, keys)
    if not keys and threshold == 1:
        return read_claims(root)
    from edgeship.deploy.signing import keys as key_files
    from edgeship.deploy.signing.signature import check_signature

    return check_signature(root, [key_files.load_public_key(key) for key in keys], threshold)


def debug_bundle(
    bundle: AnyBundle,
    *,
    artifact: str | None = None,
    data: Data | None = None,
    samples: int | None = None,
    explorer: AnyPath | None = None,
    config: AnyPath | None = None,
    custom_objects: str | None = None,
    allow_unsafe: bool = False,
    progress: bool = False,
) -> LayerSensitivity:
    """Compare an int8 `.tflite` (default: the first) with float32 layer by layer, on real data; kept in bundle and report.

    `data` is by default the bundle's evaluation data, else its calibration data; 256 `samples` of it are used. `explorer` is a
    file for each layer's SQNR as node data of Model Explorer.
    """
    from edgeship.pipeline import ship
    from edgeship.pipeline.layerwise import layer_sensitivity
    from edgeship.pipeline.run_settings.of_bundle import BundleOptions, bundle_settings

    source = open_bundle(bundle)
    layer_sensitivity.refuse_foreign(source, artifact)  # before its data is looked for, which cannot help
    with set_visibility(progress), MemoryFiles() as files:
        options = BundleOptions(
            files.data_source(data, "evaluation"), custom_objects=custom_objects, allow_unsafe=allow_unsafe
        )
        settings = bundle_settings(
            source, optional_path(config), options, {"evaluation", "calibration", *METRICS, *LOADING}
        )
        sensitivity = ship.debug_bundle(source, settings, artifact, samples or layer_sensitivity.SAMPLES)
    if explorer:
        from edgeship.benchmarks.report.layers.model_explorer import render_errors

        write_result(Path(explorer), render_errors(sensitivity))
    return sensitivity


def profile_bundle(
    bundle: AnyBundle,
    *,
    artifact: str | None = None,
    explorer: AnyPath | None = None,
    config: AnyPath | None = None,
    custom_objects: str | None = None,
    allow_unsafe: bool = False,
    progress: bool = False,
) -> OperatorTimes:
    """The time of each operator of a `.tflite` or `.onnx` (default: the first), by the runtime's own profiler, with Keras layers.

    One thread; of one sample, or of many copies at once (`samples`) where one is below the profiler's clock. `explorer` is a file
    for the shares as node data of Model Explorer. Raises InputError where the artifact's runtime tells no time per operator, or
    `explorer` has nothing to show.
    """
    from edgeship.pipeline import ship
    from edgeship.pipeline.run_settings.of_bundle import BundleOptions, bundle_settings

    source = open_bundle(bundle)
    with set_visibility(progress):
        options = BundleOptions(custom_objects=custom_objects, allow_unsafe=allow_unsafe)
        times = ship.profile_bundle(source, bundle_settings(source, optional_path(config), options, LOADING), artifact)
    if explorer:
        from edgeship.benchmarks.report.layers.model_explorer import render_times

        write_result(Path(explorer), render_times(times))
    return times


def report_bundle(bundle: AnyBundle, out: AnyPath | None = None, *, self_tests: Sequence[AnyPath] = ()) -> Path:
    """Write the report as one self-contained HTML file (default: BUNDLE-report.html beside the bundle) and return its path.

    `self_tests` are files that the demo page wrote on some device: their figures join the report. The bundle stays as it is.
    """
    from edgeship.benchmarks.gate.gate import judge_again
    from edgeship.benchmarks.report.html_report import render
    from edgeship.bundle.bundle import MANIFEST
    from edgeship.demo.selftest import with_field_results
    from edgeship.errors import InputError
    from edgeship.untrusted import damage_as_input_error, printable

    source = open_bundle(bundle)
    root = source.root.absolute()
    target = Path(out) if out else root.with_name(f"{root.name}-report.html")
    if (
        out is None and target.exists() and not target.is_file()
    ):  # the maker of the bundle's folder can have put it there
        raise InputError(f"{printable(target)}: is no file that a report can replace; choose another place with --out")
    with damage_as_input_error(source.root / MANIFEST):  # its figures may be none
        judged = replace(source, manifest=judge_again(source.manifest))
        rendered = render(source.root, with_field_results(judged, [Path(path) for path in self_tests]))
    write_result(target, rendered)
    return target


def options_to_repeat(bundle: Bundle) -> str:
    """The options that a command on this bundle needs again, as it cannot grant what they do."""
    from edgeship.settings import permissions

    loading = {"model": (bundle.manifest.config or {}).get("model")}
    return " ".join(grant.option for grant in permissions.find_grants(loading))
