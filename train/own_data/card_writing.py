"""The model card of a training, with what stands in it: splits, results beside baselines, and how often it was tested."""

from __future__ import annotations

import datetime
import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgeship import untrusted
from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.processes import progress_events
from edgeship.storage import cache, digest
from edgeship.train import trainer
from edgeship.train.card import ModelFacts, TrainingMachine, TrainingSeconds, code_version
from edgeship.train.dataset import Array, DataDescription, SplitDescription, digest_of
from edgeship.train.own_data import expectations, page, protocol, repeats
from edgeship.train.own_data.card import EpochLoss, OwnDataCard
from edgeship.train.own_data.configuration import Configuration
from edgeship.train.own_data.expectations import HeldOut, Results
from edgeship.train.own_data.pages.html_page import render_html
from edgeship.train.own_data.protocol import Protocol, Split
from edgeship.train.own_data.samples import OwnData, Picture
from edgeship.train.own_data.sources.windows import STRETCHES
from edgeship.train.own_data.tuning.table import render_csv

CARD = "model-card.json"
TOOLS = ("scikit-learn", "pyarrow")


@dataclass(frozen=True)
class Outcome:
    """What came out of one split: how the network was made and how it went; what it and the baselines say of the tested."""

    configuration: Configuration
    curve: tuple[EpochLoss, ...]
    scores: Array
    baselines: Mapping[str, Array]


def describe_splits(data: OwnData, split: Split, how: Protocol) -> DataDescription:
    """The splits of the shipped model; calibration is a part of its training samples."""
    groups = data.groups
    named = {"train": split.train, "validation": split.validation, "test": split.test}
    return DataDescription(
        name=data.name,
        source=data.source,
        sha256=data.digest,
        licence=data.licence,
        split_method=f"{how.method} by {how.unit}: {how.reason}",
        splits={
            name: SplitDescription(
                len(rows),
                digest_of(rows.astype("<i8")),
                None if groups is None else tuple(map(str, np.unique(groups[rows])[: protocol.SHOWN_GROUPS])),
            )
            for name, rows in named.items()
        },
        labels=data.target.labels,
        notes=data.notes,
    )


def count_uses(card: Path, description: DataDescription) -> int:
    """How often the same test split of the same data was used, by the card of the last training into the same folder."""
    if not card.is_file() or card.is_symlink():
        return 0
    try:
        content = untrusted.read_json(card)
        same = (content["data"]["sha256"], content["data"]["splits"]["test"]["indices_sha256"]) == (
            description.sha256,
            description.splits["test"].indices_sha256,
        )
        return int(content["test_uses"]) if same else 0
    except (InputError, LookupError, TypeError, ValueError):
        return 0


def build_card(
    data: OwnData,
    how: Protocol,
    splits: Sequence[Split],
    outcomes: Sequence[Outcome],
    facts: ModelFacts,
    description: DataDescription,
) -> OwnDataCard:
    """The card but for its seed, its seconds, its search, and how often it was tested."""
    results = _describe_results(data, how, splits, outcomes)
    versions = {name: version for name in TOOLS if (version := cache.installed_version(name))}
    first = outcomes[0]
    return OwnDataCard(
        title=f"{data.target.name} by {data.name}",
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        edgeship=code_version(),
        seed=0,
        kind=data.kind,
        label=data.target.name,
        model=facts,
        data=description,
        protocol=how,
        test_uses=1,
        hyperparameters=first.configuration.plan,
        network=first.configuration.size,
        results=results,
        worse_than=results.worse_than,
        curve=first.curve,
        seconds=TrainingSeconds(0.0, 0.0, 0.0),
        tools={**trainer.tool_versions(), **versions},
        machine=TrainingMachine(f"{platform.system()} {platform.machine()}", os.cpu_count() or 0),
    )


def _describe_results(data: OwnData, how: Protocol, splits: Sequence[Split], outcomes: Sequence[Outcome]) -> Results:
    """The results of the first repetition, with figures over all of them where there are more."""
    tested = [
        HeldOut(split.test, data.targets[split.test], item.scores, item.baselines)
        for split, item in zip(splits, outcomes, strict=True)
    ]
    once = _join(tested[: how.folds])
    is_asked = data.groups is not None and data.grouped_by != STRETCHES
    groups = (data.grouped_by, data.groups[once.rows]) if data.groups is not None and is_asked else None
    results = expectations.describe_results(data.target, once, data.describe_row, data.show_row, groups)
    if how.repeats == 1:
        return results
    figures = repeats.collect_figures(data.target, tested, len(data.targets))
    return repeats.add_repetitions(results, data.target, figures, how.repeats)


def _join(parts: Sequence[HeldOut]) -> HeldOut:
    return HeldOut(
        np.concatenate([item.rows for item in parts]),
        np.concatenate([item.truth for item in parts]),
        np.concatenate([item.scores for item in parts]),
        {name: np.concatenate([item.baselines[name] for item in parts]) for name in parts[0].baselines},
    )


def _draw_pictures(card: OwnDataCard, data: OwnData) -> dict[str, Picture]:
    """The pictures of a card, by the names that its page has for them."""
    from edgeship.train.own_data.pages import curves

    found: dict[str, Picture] = {}
    results = card.results
    if results.threshold_curve and results.threshold is not None:
        found[page.THRESHOLDS] = curves.draw_thresholds(results.threshold_curve, results.threshold, card.data.labels[1])
    if card.tuning is not None:
        found[page.SEARCH] = curves.draw_search(card.tuning.searches[0])
    for number, failure in enumerate(results.failures):
        picture = None if failure.row is None else data.draw_row(failure.row)
        if picture is not None:
            found[page.failure_picture(number)] = picture
    return found


def write_card(folder: Path, card: OwnDataCard, data: OwnData) -> OwnDataCard:
    """Write all forms of the card, with the digests of all other files in it; returns it."""
    pictures = _draw_pictures(card, data)
    if card.tuning is not None:
        (folder / "tuning.csv").write_text(render_csv(card.tuning), encoding="utf-8")
        (folder / page.SEARCH).write_bytes(pictures[page.SEARCH].content)
    whole = render_html(page.render_markdown(card, pictures), card.title, pictures)
    (folder / "model-card.html").write_text(whole, encoding="utf-8")
    in_files = {page.SEARCH} & pictures.keys()
    (folder / "model-card.md").write_text(page.render_markdown(card, in_files), encoding="utf-8")
    files = {
        path.name: digest.of_path(path)
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != progress_events.FILE
    }
    complete_card = replace(card, files=files)
    content = json.dumps(complete_card.record(), indent=1, allow_nan=False)
    (folder / CARD).write_text(content + "\n", encoding="utf-8")
    return complete_card
