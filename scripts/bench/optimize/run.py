"""`make bench-optimize`: what pruning, clustering, QAT, distillation and calibration reach, written to docs/results/optimize.md.

Everything is made and measured by the `edgeship` command. Recipes are chosen among candidates on the validation split;
the test split is looked at once, with those chosen. Each part leaves its figures as JSON in the working folder, so that
one can be taken again alone (`--only`) and the page is written from what is there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from edgeship.devices import machine
from edgeship.processes.child import FunctionProcess
from scripts import RESULTS, ROOT
from scripts.bench import parts
from scripts.bench.optimize import mixed_precision, page, peers, tasks
from scripts.bench.parts import EDGESHIP

Json = dict[str, Any]
SEED = 0
SEEDS = range(4)
TRIES = 4  # to take times on a busy machine


def edgeship(*arguments: object, codes: Sequence[int] = (0,)) -> None:
    """Run the command; progress goes to standard error. Exit code 1 is a gate's verdict where it is allowed."""
    done = subprocess.run([*EDGESHIP, *map(str, arguments)], stdout=subprocess.DEVNULL, check=False)
    if done.returncode not in codes:
        sys.exit(f"edgeship {' '.join(map(str, arguments))} ended with {done.returncode}")


def task(name: str, work: Path) -> Json:
    """Train the server model, make every candidate, choose on validation data, measure the chosen ones on the test split."""
    home = work / name
    if not (home / "server.keras").is_file():
        edgeship("train", name, "--out", home, "--seed", SEED)
    with FunctionProcess(env={"PYTHONPATH": str(ROOT)}) as process:
        process.call(
            "scripts.bench.optimize.tasks:build_clients", task=name, server=str(home / "server.keras"), folder=str(home)
        )
    for file, text in tasks.configurations(name).items():
        (home / file).write_text(text, encoding="utf-8")
    # Where there is nothing to choose from, the validation split has nothing to say.
    open_rows = [row for row in tasks.rows(name) if len(row.candidates) > 1]
    tried = shipped(home, "validation", None) if open_rows else {}
    chosen = {row.what: _best(row, tried) if row in open_rows else row.candidates[0] for row in tasks.rows(name)}
    test = shipped(home, "evaluation", {tasks.FLOAT, *chosen.values()})
    return {"chosen": chosen, "validation": tried, "test": test, "machine": machine.describe_machine()}


def seeds(name: str, work: Path) -> list[Json]:
    """The pruned variant with several seeds, taught by labels alone and by the server model: what of its drop is chance.

    Of each on the validation split, how often it answers as the server model, and on the test split what it drops. `task`
    must have left its files.
    """
    home, found = work / name, []
    for seed in SEEDS:
        for teacher in (0.0, 1.0):
            config = home / f"seed-{seed}-teacher-{teacher:g}.toml"
            config.write_text(tasks.pruned(name, teacher).replace(f"seed = {SEED}", f"seed = {seed}"), encoding="utf-8")
            splits = {}
            for split in ("validation", "evaluation"):
                out = home / f"{config.stem}-{split}"
                options = [
                    "--config",
                    config,
                    "--out",
                    out,
                    "--variant",
                    f"{tasks.FLOAT},{tasks.PRUNED}",
                    "--to",
                    "tflite",
                ]
                data = home / f"{split}.npz"
                edgeship("ship", home / "server.keras", *options, "--evaluation", data, codes=(0, 1))
                splits[split] = _read(out)[tasks.PRUNED]
            found.append({"seed": seed, "teacher": teacher, **splits})
    return found


def _best(row: tasks.Row, tried: Mapping[str, Json]) -> str:
    """Of the candidates that keep the row's other bar on validation data, or of all, the one that drops least."""
    fitting = [name for name in row.candidates if tasks.figure(row, name, tried) <= row.limit]
    return min(fitting or row.candidates, key=lambda name: tried[name]["drop"])


def shipped(home: Path, split: str, wanted: set[str] | None) -> dict[str, Json]:
    """Ship the wanted variants (or all) of both configurations as .tflite, judged on that split: the figures of each."""
    found: dict[str, Json] = {}
    for file, text in tasks.configurations(home.name).items():
        listed = [line[len("[variants.") : -1] for line in text.splitlines() if line.startswith("[variants.")]
        names = [name for name in listed if wanted is None or name in wanted]
        out = home / f"{split}-{Path(file).stem}"
        given = {"--config": home / file, "--out": out, "--variant": ",".join(names), "--to": "tflite"}
        options = [item for pair in given.items() for item in pair]
        edgeship("ship", home / "server.keras", *options, "--evaluation", home / f"{split}.npz", codes=(0, 1))
        found |= _read(out)
        for _ in range(TRIES):
            if all(item["latency_ratio"] is not None for name, item in found.items() if name != tasks.FLOAT):
                break
            edgeship("benchmark", out, codes=(0, 1))  # takes the times again that the machine was too busy for
            found |= _read(out)
    return found


def _read(bundle: Path) -> dict[str, Json]:
    manifest = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    return {item["artifact"].partition("/")[2]: figures(item) for item in manifest["measurements"]}


def figures(measurement: Mapping[str, Any]) -> Json:
    """Sizes, accuracy with its paired interval, and latency of one artifact in one runtime."""
    values = {metric["name"]: metric["value"] for metric in measurement["metrics"]}
    accuracy, ratio = measurement["details"]["accuracy"], measurement["details"].get("latency_ratio") or {}
    return {
        **{key: values.get(f"size_{key}_bytes") for key in ("disk", "brotli")},
        **{key: accuracy[key] for key in ("value", "server", "drop", "low", "high", "n")},
        "agreement": values.get("agreement"),
        "latency_ratio": ratio.get("value"),
        "latency_interval": [ratio.get("low"), ratio.get("high")],
        "why_no_latency": ratio.get("reason") or "",
        "p50_ms": values.get("latency_p50_ms"),
    }


PARTS: dict[str, Callable[[str, Path], Json | list[Json]]] = {
    **dict.fromkeys(tasks.CLIENTS, task),
    "seeds-motion": lambda _, work: seeds("motion", work),
    "auto": lambda _, work: mixed_precision.shipped(edgeship, work),
    "calibrate-once": peers.once,
    **{f"quantizers-{name}": peers.side_by_side for name in (*tasks.CLIENTS, peers.MOBILENET)},
}


def main() -> None:
    """Run the parts asked for, then write the page from all that there is."""
    parser = parts.parser(__doc__, PARTS, ROOT / "runs" / "optimize", RESULTS / "optimize.md")
    told = (
        "python of an environment that has the tool, as nncf=/path/bin/python (or neural-compressor=); may be repeated"
    )
    parser.add_argument("--foreign", action="append", default=[], metavar="TOOL=PYTHON", help=told)
    given = parser.parse_args()
    peers.FOREIGN.update(item.split("=", 1) for item in given.foreign)
    work = given.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("EDGESHIP_CACHE", str(work / "cache"))
    taken = {name: partial(part, name.removeprefix("quantizers-"), work) for name, part in PARTS.items()}
    page.write(parts.take(taken, given.only, work), given.out)
    print(f"wrote {given.out}")


if __name__ == "__main__":
    main()
