"""The model card: which data trained which model, how, and how good it was. JSON for programs, Markdown for people."""

from __future__ import annotations

import datetime
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

import edgeship
from edgeship.processes.environment import child_environment, which
from edgeship.storage import digest
from edgeship.train.dataset import Array, TaskData
from edgeship.train.tasks import Schedule, Task

SCHEMA = 1


def build(
    *,
    task: Task,
    data: TaskData,
    schedule: Schedule,
    curve: Sequence[Mapping[str, float]],
    seed: int,
    scores: Mapping[str, Array],
    model: Mapping[str, Any],
    seconds: Mapping[str, float],
    tools: Mapping[str, str],
    machine: Mapping[str, Any],
) -> dict[str, Any]:
    """The card as JSON values. `scores` holds class probabilities of shape (n, classes) for validation and test."""
    labels = data.splits["test"].labels
    hits = scores["test"].argmax(axis=1) == labels
    return {
        "schema": SCHEMA,
        "task": task.name,
        "title": task.title,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "edgeship": code_version(),
        "seed": seed,
        "model": {**model, "preprocessing": data.preprocessing},
        "data": data.describe(),
        "hyperparameters": {
            **asdict(schedule),
            "optimizer": "Adam",
            "loss": "cross-entropy",
            "learning_rate": "linear warm-up, cosine decay to 0",
            "augmentation": task.augment.__name__ if task.augment else "none",
        },
        "results": {
            "accuracy": wilson_proportion(hits),
            "validation_accuracy": wilson_proportion(
                scores["validation"].argmax(axis=1) == data.splits["validation"].labels
            ),
            "per_class": [
                {"label": label, **wilson_proportion(hits[labels == number])}
                for number, label in enumerate(data.labels)
                if (labels == number).any()
            ],
        },
        "curve": [dict(point) for point in curve],
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
        "tools": dict(tools),
        "machine": dict(machine),
    }


def wilson_proportion(hits: Array) -> dict[str, Any]:
    """A share of hits (bool, at least one) with its 95 % Wilson score interval (Wilson 1927), as scipy computes it."""
    from scipy.stats import binomtest

    right, samples = int(np.count_nonzero(hits)), len(hits)
    interval = binomtest(right, samples).proportion_ci(0.95, method="wilson")
    return {
        "value": right / samples,
        "low": float(interval.low),
        "high": float(interval.high),
        "correct": right,
        "samples": samples,
    }


def describe_model(model: Any) -> dict[str, Any]:
    """Name, parameters, inputs and outputs of a Keras model."""

    def describe_tensors(names: Sequence[str], symbols: Sequence[Any]) -> list[dict[str, Any]]:
        return [
            {"name": name, "shape": list(symbol.shape), "dtype": str(symbol.dtype)}
            for name, symbol in zip(names, symbols, strict=True)
        ]

    return {
        "file": "server.keras",
        "name": model.name,
        "parameters": model.count_params(),
        "inputs": describe_tensors([symbol.name for symbol in model.inputs], model.inputs),
        "outputs": describe_tensors(model.output_names, model.outputs),
    }


def code_version() -> dict[str, str]:
    """The version of edgeship, a digest of its sources, and the commit where it runs from its repository."""
    version = {"version": edgeship.__version__, "code": digest.of_code()[:12]}
    here = Path(__file__).resolve()
    if not (here.parents[1] / ".git").exists():
        return version  # installed: git is not started in somebody else's repository, whose settings may name programs

    def run_git(*arguments: str) -> str:
        command = [which("git") or "git", "-C", str(here.parent), *arguments]
        result = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", check=True, env=child_environment()
        )
        return result.stdout.strip()

    try:
        run_git(
            "ls-files", "--error-unmatch", here.name
        )  # an environment inside of somebody else's repository does not count
        status = run_git("status", "--porcelain", "--untracked-files=no")
        version["commit"] = run_git("rev-parse", "--short=12", "HEAD") + (" with local changes" if status else "")
    except (OSError, subprocess.CalledProcessError):
        pass  # installed without git, or without the repository
    return version


def render_markdown(card: Mapping[str, Any]) -> str:
    """The card as a page to read."""
    sections = (_head_section, _results_section, _curve_section, _data_section, _provenance_section)
    return "\n".join("\n".join(section(card)) for section in sections)


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """A Markdown table; all columns but the first are set to the right."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    cells = [[str(cell).replace("|", "\\|") for cell in row] for row in (head, rule, *rows)]
    return [f"| {' | '.join(row)} |" for row in cells] + [""]


def _format_percent(share: Mapping[str, Any]) -> tuple[str, str]:
    return f"{share['value']:.2%}", f"{share['low']:.2%} to {share['high']:.2%}"


def _head_section(card: Mapping[str, Any]) -> list[str]:
    value, interval = _format_percent(card["results"]["accuracy"])
    model = card["model"]

    def shape_text(item: Mapping[str, Any]) -> str:
        return " x ".join("batch" if size is None else str(size) for size in item["shape"])

    tensors = [
        f"- {kind} `{item['name']}`: {item['dtype']}, {shape_text(item)}"
        for kind in ("input", "output")
        for item in model[f"{kind}s"]
    ]
    return [
        f"# Model card: {card['task']}",
        "",
        f"Tells {card['title']}. **{value}** of {card['results']['accuracy']['samples']:,} test samples are right "
        f"(95 % interval {interval}).",
        "",
        f"- model: `{model['file']}`, {model['parameters']:,} parameters, sha256 `{model['sha256']}`",
        *tensors,
        f"- preprocessing: {model['preprocessing']}",
        "",
    ]


def _results_section(card: Mapping[str, Any]) -> list[str]:
    rows = [(item["label"], *_format_percent(item), f"{item['samples']:,}") for item in card["results"]["per_class"]]
    return [
        "## Accuracy per class",
        "",
        *markdown_table(("class", "accuracy", "95 % Wilson interval", "samples"), rows),
    ]


def _curve_section(card: Mapping[str, Any]) -> list[str]:
    rows = [
        (
            point["epoch"],
            f"{point['loss']:.4f}",
            f"{point['accuracy']:.2%}",
            f"{point['validation_loss']:.4f}",
            f"{point['validation_accuracy']:.2%}",
            f"{point['seconds']:.1f}",
        )
        for point in card["curve"]
    ]
    head = ("epoch", "loss", "accuracy", "validation loss", "validation accuracy", "seconds")
    seconds = card["seconds"]
    return [
        "## Training",
        "",
        *markdown_table(head, rows),
        f"{seconds['training']:.0f} s of training ({seconds['training_cpu']:.0f} s of processor time), "
        f"{seconds['total']:.0f} s in all, on {card['machine']['cpus']} processors.",
        "",
        *markdown_table(("setting", "value"), [("seed", card["seed"]), *card["hyperparameters"].items()]),
    ]


def _data_section(card: Mapping[str, Any]) -> list[str]:
    data = card["data"]
    rows = [
        (name, f"{split['samples']:,}", f"`{split['indices_sha256'][:16]}`", ", ".join(split.get("groups", ())) or "-")
        for name, split in data["splits"].items()
    ]
    return [
        "## Data",
        "",
        f"{data['name']} ({data['source']}), licence {data['licence']}, sha256 `{data['sha256']}`.",
        "",
        f"Splits: {data['split_method']}.",
        "",
        *markdown_table(("split", "samples", "sha256 of indices", "groups"), rows),
        *[f"- {note}" for note in data["notes"]],
        "",
    ]


def _provenance_section(card: Mapping[str, Any]) -> list[str]:
    rows = [
        *(("edgeship " + name, value) for name, value in card["edgeship"].items()),
        *card["tools"].items(),
        *card["machine"].items(),
        ("created", card["created"]),
    ]
    return ["## Provenance", "", *markdown_table(("what", "value"), rows)]
