"""The model card: which data trained which model, how, and how good it was; for people see `card_page`."""

from __future__ import annotations

import datetime
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, field, replace
from pathlib import Path
from typing import Any

import numpy as np

import edgeship
from edgeship.light_dataclass import dataclass
from edgeship.processes.environment import child_environment, find_program
from edgeship.storage import digest
from edgeship.train.dataset import Array, DataDescription, TaskData
from edgeship.train.tasks import Schedule, Task
from edgeship.types import TensorSpec, drop_missing, to_json

SCHEMA = 1


@dataclass(frozen=True)
class Proportion:
    """A share of `samples`, with its 95 % Wilson score interval."""

    value: float
    low: float
    high: float
    correct: int
    samples: int


@dataclass(frozen=True, kw_only=True)
class ClassProportion(Proportion):
    """The share of a class's test samples that are right."""

    label: str


@dataclass(frozen=True)
class Results:
    """The accuracy on test and validation samples, and on the test samples of each class that has some."""

    accuracy: Proportion
    validation_accuracy: Proportion
    per_class: tuple[ClassProportion, ...]


@dataclass(frozen=True)
class CodeVersion:
    """The version of edgeship, a digest of its sources, and the commit where it ran from its repository."""

    version: str
    code: str
    commit: str | None = None


@dataclass(frozen=True)
class ModelFacts:
    """The model in its file, with the file's digest and what was done to the data before it."""

    file: str
    name: str
    parameters: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    sha256: str
    preprocessing: str


@dataclass(frozen=True)
class Hyperparameters:
    """How it was trained; see `tasks.Schedule`."""

    epochs: int
    batch: int
    peak: float
    most_samples: int
    warmup: float
    optimizer: str
    loss: str
    learning_rate: str
    augmentation: str
    least_samples: int = 0


@dataclass(frozen=True)
class EpochFigures:
    """One epoch, counted from 1: training figures are running means while the weights changed, validation is at its end."""

    epoch: int
    loss: float
    accuracy: float
    validation_loss: float
    validation_accuracy: float
    seconds: float


@dataclass(frozen=True)
class TrainingSeconds:
    """Seconds of training, of processor time in it, and of everything."""

    training: float
    training_cpu: float
    total: float


@dataclass(frozen=True)
class TrainingMachine:
    """What it was trained on; `cpus` are processors that can be used."""

    system: str
    cpus: int


@dataclass(frozen=True)
class TrainingRecord:
    """How a training went: its curve, how long it took, with which tools and where."""

    curve: tuple[EpochFigures, ...]
    seconds: TrainingSeconds
    tools: Mapping[str, str]
    machine: TrainingMachine


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """The card; `created` is ISO 8601, `files` are the digests of all others beside it, by name."""

    schema: int = SCHEMA
    task: str
    title: str
    created: str
    edgeship: CodeVersion
    seed: int
    model: ModelFacts
    data: DataDescription
    hyperparameters: Hyperparameters
    results: Results
    curve: tuple[EpochFigures, ...]
    seconds: TrainingSeconds
    tools: Mapping[str, str]
    machine: TrainingMachine
    files: Mapping[str, str] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """The card as JSON, without what it does not have."""
        content: dict[str, Any] = drop_missing(to_json(self))
        return content


def build(
    *,
    task: Task,
    data: TaskData,
    schedule: Schedule,
    seed: int,
    scores: Mapping[str, Array],
    model: ModelFacts,
    training: TrainingRecord,
) -> ModelCard:
    """The card. `scores` holds class probabilities of shape (n, classes) for validation and test."""
    labels, validation_labels = (data.splits[name].labels for name in ("test", "validation"))
    hits = scores["test"].argmax(axis=1) == labels
    shares = {number: wilson_proportion(hits[labels == number]) for number in np.unique(labels).tolist()}
    return ModelCard(
        task=task.name,
        title=task.title,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        edgeship=code_version(),
        seed=seed,
        model=model,
        data=data.describe(),
        hyperparameters=Hyperparameters(
            **asdict(schedule),
            optimizer="Adam",
            loss="cross-entropy",
            learning_rate="linear warm-up, cosine decay to 0",
            augmentation=task.augment.__name__ if task.augment else "none",
        ),
        results=Results(
            accuracy=wilson_proportion(hits),
            validation_accuracy=wilson_proportion(scores["validation"].argmax(axis=1) == validation_labels),
            per_class=tuple(
                ClassProportion(**asdict(shares[number]), label=label)
                for number, label in enumerate(data.labels)
                if number in shares
            ),
        ),
        curve=training.curve,
        seconds=TrainingSeconds(**{name: round(value, 1) for name, value in asdict(training.seconds).items()}),
        tools=training.tools,
        machine=training.machine,
    )


def wilson_proportion(hits: Array) -> Proportion:
    """A share of hits (bool, at least one) with its 95 % Wilson score interval (Wilson 1927), as scipy computes it."""
    from scipy.stats import binomtest

    right, samples = int(np.count_nonzero(hits)), len(hits)
    interval = binomtest(right, samples).proportion_ci(0.95, method="wilson")
    return Proportion(right / samples, float(interval.low), float(interval.high), right, samples)


def describe_model(model: Any, file: Path, preprocessing: str) -> ModelFacts:
    """A Keras model that lies in `file`."""

    def describe_tensors(names: Sequence[str], symbols: Sequence[Any]) -> tuple[TensorSpec, ...]:
        pairs = zip(names, symbols, strict=True)
        return tuple(TensorSpec(name, tuple(symbol.shape), str(symbol.dtype)) for name, symbol in pairs)

    return ModelFacts(
        file=file.name,
        name=model.name,
        parameters=model.count_params(),
        inputs=describe_tensors([symbol.name for symbol in model.inputs], model.inputs),
        outputs=describe_tensors(model.output_names, model.outputs),
        sha256=digest.of_path(file),
        preprocessing=preprocessing,
    )


def code_version() -> CodeVersion:
    """What runs here."""
    version = CodeVersion(edgeship.__version__, digest.of_code()[:12])
    here = Path(__file__).resolve()
    if not (here.parents[1] / ".git").exists():
        return version  # installed: git is not started in somebody else's repository, whose settings may name programs

    def run_git(*arguments: str) -> str:
        command = [find_program("git") or "git", "-C", str(here.parent), *arguments]
        result = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", check=True, env=child_environment()
        )
        return result.stdout.strip()

    try:
        run_git(
            "ls-files", "--error-unmatch", here.name
        )  # an environment inside of somebody else's repository does not count
        status = run_git("status", "--porcelain", "--untracked-files=no")
        commit = run_git("rev-parse", "--short=12", "HEAD") + (" with local changes" if status else "")
    except (OSError, subprocess.CalledProcessError):
        return version  # installed without git, or without the repository
    return replace(version, commit=commit)
