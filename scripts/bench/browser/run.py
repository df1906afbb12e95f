"""`make bench-browser`: what browser engines give and take, measured by `edgeship benchmark`; writes docs/results/browser.md.

`--only PART ...` takes some parts again and the others from the last run: times want a quiet machine, and not all fit one pause.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.benchmarks.measure.latency_ratio import compare_latency
from edgeship.benchmarks.report import engine_comparison
from edgeship.data import RepresentativeDataset
from edgeship.runtimes.session import open_session
from edgeship.settings.variants import FOR_LITERT_JS
from edgeship.types import TensorSpec
from scripts import ROOT
from scripts.bench import parts
from scripts.bench.browser.page import RENDERED, markdown
from scripts.bench.parts import EDGESHIP
from scripts.bench.speed import BARE, timed

VARIANTS = f"""\
[variants.float32]
formats = ["tfjs", "onnx"]

[variants.weight_only_w8]
formats = ["tfjs"]

[variants.int8]
quantize = "static_w8a8"
formats = ["onnx"]

{FOR_LITERT_JS}"""
AT_ONCE = 64
BATCHED = f"""\
[variants.float32-web-{AT_ONCE}]
quantize = "float32"
formats = ["tflite"]
static_batch = {AT_ONCE}
"""
PARITY = ("litert", "onnxruntime", "tfjs-web", "tfjs-webgl", "tfjs-cpu", "litert-web", "ort-web")
SAME_FILE = {"litert-web": ("litert", "tflite"), "ort-web": ("onnxruntime", "onnx")}
RATES = (1, 4, 6)
ROUNDS = 3
ALONE = 1.0
FOLDING_SECONDS = 36  # of two engines in 8 pairs of fresh Chromiums
BATCH = 1024


class Work:
    """A folder with the two bundles; each part's result is kept there as JSON."""

    def __init__(self, folder: Path, run: Path) -> None:
        self.folder, self.run = folder, run
        self.cache = {"EDGESHIP_CACHE": str(folder / "cache")}
        folder.mkdir(parents=True, exist_ok=True)

    def device(self, name: str, kind: str, figures: str, launch: str, threads: int = 1, runtimes: Any = ()) -> str:
        """A device profile of that name."""
        path = self.folder / f"{name}.toml"
        listed = json.dumps(list(runtimes or engine_comparison.ENGINES))
        head = f'title = "{name}"\nkind = "{kind}"\nruntimes = {listed}\nfigures = ["{figures}"]\nthreads = {threads}\n'
        path.write_text(f"{head}\n[launch]\n{launch}\n", encoding="utf-8")
        return str(path)

    def bundle(self, name: str, model: Path, data: Path, variants: str = VARIANTS) -> Path:
        """The model's bundle with what browsers run, made once."""
        config, bundle = self.folder / f"{name}.config.toml", self.folder / name
        config.write_text(variants, encoding="utf-8")
        if not (bundle / "manifest.json").exists():
            command = [*EDGESHIP, "convert", str(model), "--out", str(bundle), "--config", str(config)]
            timed([*command, "--data", str(data)], **self.cache)
        return bundle

    def fashion(self) -> Path:
        """The default task's, of the model that `make demo` trained."""
        return self.bundle("fashion", self.run / "server.keras", self.run / "calibration.npz")

    def batched(self) -> Path:
        """The same model for LiteRT.js in pages that run many samples."""
        return self.bundle("batched", self.run / "server.keras", self.run / "calibration.npz", BATCHED)

    def mobilenet(self) -> Path:
        """MobileNetV2-224 with random weights."""
        model, data = self.folder / "mobilenetv2.keras", self.folder / "random.npz"
        if not data.exists():
            timed([*BARE, "prepare", str(model), str(data)])
        return self.bundle("mobilenet", model, data)

    def benchmark(self, bundle: Path, device: str, *more: str) -> dict[str, Any]:
        """What `edgeship benchmark` leaves in the manifest: measurements and the gate's verdicts."""
        timed([*EDGESHIP, "benchmark", str(bundle), "--device", device, *more], **self.cache)
        manifest: dict[str, Any] = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
        return {key: manifest[key] for key in ("measurements", "gate", "artifacts")}


def parity(work: Work) -> Any:
    """All 10,000 test images through every artifact on every engine, against the server model and the labels."""
    device = work.device("parity", "measured", "quality", 'how = "direct"', runtimes=PARITY)
    return work.benchmark(work.fashion(), device, "--data", str(work.run / "evaluation.npz"))


def _batches(work: Work, bundle: Path) -> Callable[[], Any]:
    inputs = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))["server_model"]["inputs"]
    data = RepresentativeDataset(str(work.run / "evaluation.npz"))
    specs = tuple(map(TensorSpec.from_json, inputs))
    return lambda: data.feeds(specs, BATCH)


def same_file(work: Work) -> Any:
    """The outputs of one file in the browser and under Python, value by value, on all test images."""
    bundle, rows = work.fashion(), []
    batches = _batches(work, bundle)
    for name, (python, form) in SAME_FILE.items():
        for path in sorted((bundle / form).iterdir()):
            outputs = []
            for runtime in (python, name):
                with open_session(runtime, path) as session:
                    outputs.append(session.evaluate(batches(), BATCH))
            here, page = (next(iter(item.values())) for item in outputs)
            rows.append(
                {
                    "file": f"{form}/{path.name}",
                    "engine": name,
                    "python": python,
                    "values": int(here.size),
                    "different": int((here != page).sum()),
                    "most": float(np.abs(here - page).max()),
                    "top1": float((here.argmax(1) == page.argmax(1)).mean()),
                }
            )
    return rows


def evaluations(work: Work) -> Any:
    """Seconds for all test images, float32: Python LiteRT on one core and each engine on one and two, in turn, several rounds.

    Ratios are to the faster of Python LiteRT's two files in the same round. `alone` is what the engine's own inferences
    take of it, timed where it runs: a batch that lies there already, over and over.
    """
    bundle = work.fashion()
    batches = _batches(work, bundle)
    one, many = bundle / "tflite/float32-web.tflite", work.batched() / f"tflite/float32-web-{AT_ONCE}.tflite"
    python = [("litert", one, 1), ("litert", many, 1)]
    pages = [
        ("tfjs-web", bundle / "tfjs/float32"),
        ("litert-web", one),
        ("litert-web", many),
        ("ort-web", bundle / "onnx/float32.onnx"),
    ]
    runs = [*python, *((name, path, threads) for name, path in pages for threads in (1, 2))]
    taken: list[list[float]] = [[] for _ in runs]
    alone: list[list[float]] = [[] for _ in runs]
    images = sum(len(next(iter(batch.values()))) for batch in batches())
    for _ in range(ROUNDS):
        for (name, path, threads), total, own in zip(runs, taken, alone, strict=True):
            with open_session(name, path, threads=threads) as session:
                session.evaluate(batches(), BATCH)  # the first time compiles
                start = time.perf_counter()
                session.evaluate(batches(), BATCH)
                total.append(time.perf_counter() - start)
                if session.inputs[0].shape[0] is None:
                    session.sample = next(iter(batches()))
                share = images / len(next(iter(session.sample.values())))
                own.append(share * statistics.median(session.block(ALONE)) / 1000)
    base = list(map(min, taken[0], taken[1]))
    return [
        {
            "runtime": name,
            "threads": str(threads),
            "batch": AT_ONCE if path == many else 1 if path == one else BATCH,
            "seconds": statistics.median(total),
            "ratio": statistics.median(ratios := [a / b for a, b in zip(total, base, strict=True)]),
            "ratios": ratios,
            "alone": statistics.median(a / b for a, b in zip(own, base, strict=True)),
        }
        for (name, path, threads), total, own in zip(runs, taken, alone, strict=True)
    ]


def speed(rate: int) -> Callable[[Work], Any]:
    """Load, latency and memory of MobileNetV2-224 on one and two threads at a throttling."""

    def part(work: Work) -> Any:
        bundle, found = work.mobilenet(), {}
        for threads in (1, 2):
            launch = 'how = "browser"' + (f"\nthrottle = {rate}" if rate > 1 else "")
            kind = "simulated" if rate > 1 else "measured"
            device = work.device(f"{rate}x-{threads}t", kind, "speed", launch, threads)
            found[str(threads)] = work.benchmark(bundle, device)
        return found

    return part


def folding(work: Work) -> Any:
    """TF.js on one thread with batch normalization folded into depthwise convolutions and not, in turn."""
    folded, unfolded = work.mobilenet() / "tfjs" / "float32", work.folder / "unfolded"
    if not unfolded.exists():
        timed([*BARE, "unfolded", str(work.folder / "mobilenetv2.keras"), str(unfolded)])
    with open_session("tfjs-web", folded) as ours, open_session("tfjs-web", unfolded) as theirs:
        image = {ours.inputs[0].name: np.random.default_rng(0).random((4, 224, 224, 3), np.float32)}
        found = [next(iter(session.run(image).values())) for session in (ours, theirs)]
    ratio = compare_latency(
        lambda: open_session("tfjs-web", folded), lambda: open_session("tfjs-web", unfolded), FOLDING_SECONDS
    )
    return {**asdict(ratio), "most": float(np.abs(found[0] - found[1]).max()), "largest": float(np.abs(found[1]).max())}


PARTS: dict[str, Callable[[Work], Any]] = {
    "parity": parity,
    "same_file": same_file,
    "evaluations": evaluations,
    "folding": folding,
    **{f"speed-{rate}x": speed(rate) for rate in RATES},
}


def main() -> None:
    """Take what was asked for, and write the page of all parts that there are."""
    parser = parts.parser(__doc__, PARTS, ROOT / "runs" / "browser", RENDERED)
    parser.add_argument("--run", type=Path, default=ROOT / "runs" / "fashion-mnist", help="what `make demo` left")
    given = parser.parse_args()
    work = Work(given.work.resolve(), given.run.resolve())
    found = parts.take({name: partial(part, work) for name, part in PARTS.items()}, given.only, work.folder)
    given.out.write_text(markdown(found), encoding="utf-8")
    print(f"wrote {given.out}")


if __name__ == "__main__":
    main()
