"""The model card of a person's own data as a page to read, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

from edgeship.train.card import Proportion
from edgeship.train.card_page import markdown_table
from edgeship.train.own_data.card import OwnDataCard
from edgeship.train.own_data.expectations import Baseline, GroupErrors
from edgeship.untrusted import printable, shorten_text

MOST_CLASSES = 20  # of a confusion matrix that is shown


def render_markdown(card: OwnDataCard) -> str:
    """The card as a page to read."""
    sections = (_head, _baselines, _errors, _failures, _data, _training, _provenance)
    return "\n".join(line for section in sections for line in section(card))


def _head(card: OwnDataCard) -> Iterable[str]:
    model = card.model
    yield f"# Model card: {_cell(card.title)}"
    yield ""
    yield describe_quality(card)
    yield ""
    yield f"- model: `{model.file}`, {model.parameters:,} parameters, sha256 `{model.sha256}`"
    for spec in (*model.inputs, *model.outputs):
        shape = " x ".join("batch" if size is None else str(size) for size in spec.shape)
        yield f"- `{spec.name}`: {spec.dtype}, {shape}"
    yield f"- what the model takes: {model.preprocessing}"
    yield f"- protocol: {card.protocol.method} by {_cell(card.protocol.unit)}; {card.protocol.reason}"
    yield f"- the test split was used {card.test_uses} time{'s' if card.test_uses > 1 else ''}, this one counted"
    yield ""


def describe_quality(card: OwnDataCard) -> str:
    """How good the model is, in a sentence."""
    results = card.results
    if results.accuracy is not None:
        value, interval = _percents(results.accuracy)
        return (
            f"{value} of {results.accuracy.samples:,} samples that it had not seen are right (95 % interval {interval}): "
            f"{results.errors_of_thousand:g} of a thousand are wrong."
        )
    mae = results.mae
    if mae is None or results.rmse is None:
        return "Not judged."
    share = "" if results.r2 is None else f", {results.r2:.1%} of the variance explained"
    return (
        f"On {mae.samples:,} samples that it had not seen it is off by {mae.value:.4g} on average (95 % interval "
        f"{mae.low:.4g} to {mae.high:.4g}; root mean square {results.rmse:.4g}{share})."
    )


def _baselines(card: OwnDataCard) -> Iterable[str]:
    results = card.results
    mine = results.accuracy.value if results.accuracy else results.rmse
    rows = [("the network", _figure(mine, results.accuracy is not None), "", "")]
    for item in results.baselines:
        rows.append((item.name, *_baseline_cells(item)))
    yield "## Beside baselines"
    yield ""
    if card.worse_than:
        yield f"**The network does not beat: {', '.join(card.worse_than)}.** Ship what is simpler, or mend the data first."
        yield ""
    what = "accuracy" if results.accuracy else "root mean square error"
    yield from markdown_table(("model", what, "the network is", "p"), rows)


def _baseline_cells(item: Baseline) -> tuple[str, str, str]:
    value = item.accuracy if item.accuracy is not None else item.rmse
    return _figure(value, item.accuracy is not None), item.network, f"{item.p_value:.2g}"


def _figure(value: float | None, share: bool) -> str:
    return "-" if value is None else f"{value:.2%}" if share else f"{value:.5g}"


def _errors(card: OwnDataCard) -> Iterable[str]:
    results = card.results
    if results.accuracy is None:
        return
    yield "## What goes wrong"
    yield ""
    yield "Of a thousand samples so many are wrongly taken for a class, and so many of it are taken for others."
    yield ""
    rows = [(_cell(item.label), f"{item.false_alarms:g}", f"{item.misses:g}") for item in results.class_errors]
    yield from markdown_table(("class", "false alarms", "missed"), rows)
    shares = [(_cell(item.label), *_percents(item), f"{item.samples:,}") for item in results.per_class]
    yield from markdown_table(("class", "found", "95 % Wilson interval", "samples"), shares)
    labels = [_cell(label) for label in card.data.labels]
    if len(labels) <= MOST_CLASSES:
        yield "Rows are what it was, columns what was said."
        yield ""
        matrix = [(label, *row) for label, row in zip(labels, results.confusion, strict=True)]
        yield from markdown_table(("", *labels), matrix)
    if results.threshold_curve:
        yield f"The answer is `{labels[1]}` above a probability of {results.threshold:g}. Other thresholds, errors of a thousand:"
        yield ""
        points = [
            (f"{item.threshold:g}", item.false_positives, item.false_negatives) for item in results.threshold_curve
        ]
        yield from markdown_table(("threshold", f"wrongly {labels[1]}", f"{labels[1]} missed"), points)
    if results.groups:
        yield from _groups(results.groups)


def _groups(found: GroupErrors) -> Iterable[str]:
    yield f"## By {_cell(found.by)}"
    yield ""
    if found.p_value is not None:
        beyond = "beyond chance" if found.p_value < 0.05 else "no more than chance makes them"
        yield f"Gaps between these groups are {beyond} (chi-square test, p = {found.p_value:.2g})."
        yield ""
    rows = [(_cell(item.label), *_percents(item), f"{item.samples:,}") for item in found.groups]
    yield from markdown_table(("group", "accuracy", "95 % Wilson interval", "samples"), rows)


def _failures(card: OwnDataCard) -> Iterable[str]:
    if not card.results.failures:
        return
    yield "## Where it is surest and wrong" if card.results.accuracy else "## Where it is farthest off"
    yield ""
    rows = [
        (
            _cell(item.sample),
            _cell(item.truth),
            _cell(item.answer),
            "-" if item.certainty is None else f"{item.certainty:.0%}",
            _cell(item.content),
        )
        for item in card.results.failures
    ]
    yield from markdown_table(("sample", "is", "answer", "probability", "content"), rows)


def _data(card: OwnDataCard) -> Iterable[str]:
    data = card.data
    yield "## Data"
    yield ""
    yield f"{_cell(data.name)}, sha256 `{data.sha256}`. The shipped model's splits:"
    yield ""
    rows = [(name, f"{split.samples:,}", f"`{split.indices_sha256[:16]}`") for name, split in data.splits.items()]
    yield from markdown_table(("split", "samples", "sha256 of indices"), rows)
    yield from (f"- {_cell(note)}" for note in data.notes)
    yield ""


def _training(card: OwnDataCard) -> Iterable[str]:
    rows = [(item.epoch, f"{item.loss:.4f}", f"{item.validation_loss:.4f}", item.seconds) for item in card.curve]
    yield "## Training"
    yield ""
    yield from markdown_table(("epoch", "loss", "validation loss", "seconds"), rows)
    yield from markdown_table(("setting", "value"), [("seed", card.seed), *asdict(card.hyperparameters).items()])


def _provenance(card: OwnDataCard) -> Iterable[str]:
    rows = [
        *(("edgeship " + name, value) for name, value in asdict(card.edgeship).items() if value),
        *card.tools.items(),
        *asdict(card.machine).items(),
        ("created", card.created),
    ]
    yield "## Provenance"
    yield ""
    yield from markdown_table(("what", "value"), rows)


def _percents(share: Proportion) -> tuple[str, str]:
    return f"{share.value:.2%}", f"{share.low:.2%} to {share.high:.2%}"


def _cell(text: str) -> str:
    """A text of somebody's data, on one line and of bearable length."""
    return printable(shorten_text(text, 200)).replace("`", "'")
