"""The model card as a page to read, in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from edgeship.train.card import ModelCard, Proportion
from edgeship.types import TensorSpec


def render_markdown(card: ModelCard) -> str:
    """The card as a page to read."""
    sections = (_head_section, _results_section, _curve_section, _data_section, _provenance_section)
    return "\n".join("\n".join(section(card)) for section in sections)


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """A Markdown table; all columns but the first are set to the right."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    cells = [[str(cell).replace("|", "\\|") for cell in row] for row in (head, rule, *rows)]
    return [f"| {' | '.join(row)} |" for row in cells] + [""]


def _format_percent(share: Proportion) -> tuple[str, str]:
    return f"{share.value:.2%}", f"{share.low:.2%} to {share.high:.2%}"


def _head_section(card: ModelCard) -> list[str]:
    value, interval = _format_percent(card.results.accuracy)
    model = card.model

    def format_shape(spec: TensorSpec) -> str:
        return " x ".join("batch" if size is None else str(size) for size in spec.shape)

    tensors = [
        f"- {kind} `{spec.name}`: {spec.dtype}, {format_shape(spec)}"
        for kind, specs in (("input", model.inputs), ("output", model.outputs))
        for spec in specs
    ]
    return [
        f"# Model card: {card.task}",
        "",
        f"Tells {card.title}. **{value}** of {card.results.accuracy.samples:,} test samples are right "
        f"(95 % interval {interval}).",
        "",
        f"- model: `{model.file}`, {model.parameters:,} parameters, sha256 `{model.sha256}`",
        *tensors,
        f"- preprocessing: {model.preprocessing}",
        "",
    ]


def _results_section(card: ModelCard) -> list[str]:
    rows = [(item.label, *_format_percent(item), f"{item.samples:,}") for item in card.results.per_class]
    return [
        "## Accuracy per class",
        "",
        *markdown_table(("class", "accuracy", "95 % Wilson interval", "samples"), rows),
    ]


def _curve_section(card: ModelCard) -> list[str]:
    rows = [
        (
            point.epoch,
            f"{point.loss:.4f}",
            f"{point.accuracy:.2%}",
            f"{point.validation_loss:.4f}",
            f"{point.validation_accuracy:.2%}",
            f"{point.seconds:.1f}",
        )
        for point in card.curve
    ]
    head = ("epoch", "loss", "accuracy", "validation loss", "validation accuracy", "seconds")
    seconds = card.seconds
    return [
        "## Training",
        "",
        *markdown_table(head, rows),
        f"{seconds.training:.0f} s of training ({seconds.training_cpu:.0f} s of processor time), "
        f"{seconds.total:.0f} s in all, on {card.machine.cpus} processors.",
        "",
        *markdown_table(("setting", "value"), [("seed", card.seed), *asdict(card.hyperparameters).items()]),
    ]


def _data_section(card: ModelCard) -> list[str]:
    data = card.data
    rows = [
        (name, f"{split.samples:,}", f"`{split.indices_sha256[:16]}`", ", ".join(split.groups or ()) or "-")
        for name, split in data.splits.items()
    ]
    return [
        "## Data",
        "",
        f"{data.name} ({data.source}), licence {data.licence}, sha256 `{data.sha256}`.",
        "",
        f"Splits: {data.split_method}.",
        "",
        *markdown_table(("split", "samples", "sha256 of indices", "groups"), rows),
        *[f"- {note}" for note in data.notes],
        "",
    ]


def _provenance_section(card: ModelCard) -> list[str]:
    rows = [
        *(("edgeship " + name, value) for name, value in asdict(card.edgeship).items() if value),
        *card.tools.items(),
        *asdict(card.machine).items(),
        ("created", card.created),
    ]
    return ["## Provenance", "", *markdown_table(("what", "value"), rows)]
