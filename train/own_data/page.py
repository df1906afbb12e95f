"""The model card of a person's own data as a page to read, in Markdown."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import asdict
from functools import partial

from edgeship.train.card import Proportion
from edgeship.train.card_page import markdown_table
from edgeship.train.own_data.card import OwnDataCard
from edgeship.train.own_data.expectations import Baseline, FoldsEstimate, GroupErrors, Results
from edgeship.train.own_data.search_results import Search
from edgeship.untrusted import printable, shorten_text

MOST_CLASSES = 20  # of a confusion matrix that is shown
SHOWN_THRESHOLDS = tuple(step / 10 for step in range(1, 10))


THRESHOLDS, SEARCH = "thresholds.svg", "tuning.svg"


def failure_picture(number: int) -> str:
    """The name of the picture of a failure, counted from 0."""
    return f"failure-{number + 1}"


def render_markdown(card: OwnDataCard, pictures: Collection[str] = ()) -> str:
    """The card as a page to read, with those `pictures` that there are files of."""
    with_pictures = partial(_errors, pictures), partial(_failures, pictures), partial(_search, pictures)
    sections = (_head, _baselines, *with_pictures, _data, _training, _provenance)
    return "\n".join(line for section in sections for line in section(card))


def _head(card: OwnDataCard) -> Iterable[str]:
    model = card.model
    yield f"# Model card: {_cell(card.title)}"
    yield ""
    yield describe_quality(card)
    yield ""
    if card.results.repeated:
        yield _describe_repeated(card.results.repeated, card.results.accuracy is not None)
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


def _describe_repeated(found: FoldsEstimate, is_share: bool) -> str:
    value, low, high = (_figure(item, is_share) for item in (found.value, found.low, found.high))
    what = "accuracy" if is_share else "root mean square error"
    return (
        f"Over {found.folds} folds in {found.repeats} repetitions: {what} {value} (95 % interval {low} to {high}, which allows "
        "for what folds share: Nadeau and Bengio 2003). What follows is of the first repetition, but for the baselines."
    )


def _baselines(card: OwnDataCard) -> Iterable[str]:
    results = card.results
    mine = results.accuracy.value if results.accuracy else results.rmse
    if results.repeated:
        mine = results.repeated.value
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


def _errors(pictures: Collection[str], card: OwnDataCard) -> Iterable[str]:
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
        yield from _thresholds(results, labels[1], pictures)
    if results.groups:
        yield from _groups(results.groups)


def _thresholds(results: Results, label: str, pictures: Collection[str]) -> Iterable[str]:
    yield f"The answer is {label} above a probability of {results.threshold:g}. Other thresholds, errors of a thousand samples:"
    yield ""
    points = [
        (f"{item.threshold:g}", item.false_positives, item.false_negatives, _share(item.precision), _share(item.recall))
        for item in results.threshold_curve
        if item.threshold in SHOWN_THRESHOLDS
    ]
    yield from markdown_table(("threshold", f"wrongly {label}", f"{label} missed", "precision", "recall"), points)
    if THRESHOLDS in pictures:
        yield f"![precision, recall and errors over the threshold]({THRESHOLDS})"
        yield ""


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _groups(found: GroupErrors) -> Iterable[str]:
    yield f"## By {_cell(found.by)}"
    yield ""
    if found.p_value is not None:
        beyond = "beyond chance" if found.p_value < 0.05 else "no more than chance makes them"
        yield f"Gaps between these groups are {beyond} (chi-square test, p = {found.p_value:.2g})."
        yield ""
    rows = [(_cell(item.label), *_percents(item), f"{item.samples:,}") for item in found.groups]
    yield from markdown_table(("group", "accuracy", "95 % Wilson interval", "samples"), rows)


def _failures(pictures: Collection[str], card: OwnDataCard) -> Iterable[str]:
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
            *([f"![sample]({name})"] if (name := failure_picture(number)) in pictures else []),
        )
        for number, item in enumerate(card.results.failures)
    ]
    heads = ("sample", "is", "answer", "probability", "content", "picture")
    yield from markdown_table(heads[: len(rows[0])], rows)


def _search(pictures: Collection[str], card: OwnDataCard) -> Iterable[str]:
    tuning = card.tuning
    if tuning is None:
        return
    first = tuning.searches[0]
    yield "## Tuning"
    yield ""
    each = f" for each of {len(tuning.searches)} splits" if len(tuning.searches) > 1 else ""
    splits = f" in {first.splits} splits of what is not tested" if first.splits > 1 else ""
    yield (
        f"{len(first.trials)} configurations were tried{each}, judged by the loss on {first.samples:,} validation "
        f"samples{splits}; no test sample was used. Method: {tuning.method}."
    )
    yield ""
    yield _describe_gain(first)
    yield ""
    names = list(first.trials[0].values)
    ranked = sorted(first.trials, key=lambda trial: (-trial.budget, trial.loss is None, trial.loss or 0.0))
    rows = [
        (
            f"{trial.number}{' (usual)' if trial.number == 0 else ''}{', taken' if trial.number == first.chosen else ''}",
            *(f"{trial.values[name]:.3g}" for name in names),
            f"{trial.budget:.0%}",
            "-" if trial.loss is None or trial.stopped else f"{trial.loss:.4f}",
        )
        for trial in ranked
    ]
    yield from markdown_table(("trial", *(name.replace("_", " ") for name in names), "trained", "loss"), rows)
    if SEARCH in pictures:
        yield f"![trials by budget, and losses by value]({SEARCH})"
        yield ""


def _describe_gain(search: Search) -> str:
    if search.chosen == 0:
        return "**None was better than the usual configuration**, which was taken."
    if search.usual_loss is None or search.chosen_loss is None:
        return f"Trial {search.chosen} was taken; the usual configuration did not converge."
    return (
        f"Trial {search.chosen} was taken: its loss is {search.chosen_loss:.4f}, that of the usual configuration "
        f"{search.usual_loss:.4f}. The best of many looks better than it is; the figures above are of samples that none saw."
    )


def _data(card: OwnDataCard) -> Iterable[str]:
    data = card.data
    yield "## Data"
    yield ""
    yield f"{_cell(data.name)}, {_cell(data.source)}; licence: {_cell(data.licence)}; sha256 `{data.sha256}`."
    yield "The shipped model's splits:"
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
    network = [(f"network's {name}", value) for name, value in asdict(card.network).items()] if card.network else []
    settings = [("seed", card.seed), *asdict(card.hyperparameters).items(), *network]
    yield from markdown_table(("setting", "value"), settings)


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
    """A text of somebody's data, on one line and of bearable length; what Markdown would act on is only shown."""
    return re.sub(r"([\\*_\[\]<>#])", r"\\\1", printable(shorten_text(text, 200)).replace("`", "'"))
