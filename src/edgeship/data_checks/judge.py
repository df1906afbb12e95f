"""What is concluded of splits: each check with its thresholds, as findings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgeship.data_checks.methods import duplicates, label_errors, leakage, shift
from edgeship.data_checks.methods.features import FOLDS, Array, Feature, predict_out_of_sample
from edgeship.data_checks.report import Finding, LabelReport, SuspectLabel
from edgeship.data_checks.split import Split
from edgeship.light_dataclass import dataclass
from edgeship.untrusted import printable, shorten_text

MANY_COPIES = 0.01  # share of samples from which copies spoil a result
RARE_CLASS = 0.1  # of an equal share of the samples: a class below is rare
FEW = 10  # samples of a class below which it can be neither learned nor judged
MOST_CLASSES = 30  # that models are fitted for
WORK = 30_000  # samples times classes of such a model
FAR = 0.25  # distance of two splits' distributions from which figures of one say little of the other
SHOWN = 10


def quote(name: str) -> str:
    """A stranger's name as it stands in a sentence."""
    return f"'{printable(shorten_text(name, 60))}'"


def join_names(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return f"{', '.join(map(quote, names[:SHOWN]))}{more}"


def judge_copies(split: Split) -> list[Finding]:
    """Samples that are there more than once within a split."""
    copies = duplicates.find_copies(split.hashes, split.column_hashes)
    if not copies.count or copies.by_chance:
        return []
    share = copies.count / split.samples
    pairs = tuple(f"{split.name_sample(a)} = {split.name_sample(b)}" for a, b in copies.examples)
    text = f"{copies.count:,} of {split.samples:,} samples ({share:.1%}) are copies of others: once split, a test knows them"
    return [Finding("duplicates", "spoils" if share >= MANY_COPIES else "notice", text, examples=pairs)]


def judge_shared(split: Split, other: Split) -> list[Finding]:
    """Samples of the evaluation split that are in the first split, too."""
    columns = None
    if split.column_hashes is not None and other.column_hashes is not None:
        columns = np.concatenate((split.column_hashes, other.column_hashes))
    copies = duplicates.find_shared(split.hashes, other.hashes, columns)
    if not copies.count or copies.by_chance:
        return []
    share = copies.count / other.samples
    pairs = tuple(f"{split.name_sample(a)} = {other.name_sample(b)}" for a, b in copies.examples)
    text = (
        f"{copies.count:,} of {other.samples:,} samples ({share:.1%}) of {printable(other.path)} are in "
        f"{printable(split.path)}, too: accuracy on them says nothing of new ones"
    )
    return [Finding("shared", "spoils" if share >= MANY_COPIES else "notice", text, examples=pairs)]


def judge_groups(split: Split, other: Split, group: str) -> list[Finding]:
    """Groups that are in both splits."""
    both = sorted(split.group_names & other.group_names)
    if not both:
        return []
    text = (
        f"{len(both):,} of {len(other.group_names):,} groups of {printable(other.path)} ({quote(group)}) are in "
        f"{printable(split.path)}, too: split by group"
    )
    return [Finding("groups", "spoils", text, (group,), tuple(printable(name) for name in both[:SHOWN]))]


def judge_balance(split: Split) -> list[Finding]:
    """Classes of which there are few."""
    findings = []
    few = [name for name, count in split.class_counts if count < FEW]
    if few:
        text = f"fewer than {FEW} samples of {join_names(few)}: a class of so few is neither learned nor judged"
        findings.append(Finding("balance", "spoils", text, (split.label,)))
    total = sum(count for _, count in split.class_counts)
    rare = [name for name, count in split.class_counts if FEW <= count < RARE_CLASS * total / len(split.class_counts)]
    if rare:
        counts = dict(split.class_counts)
        majority = split.class_counts[0][1] / total
        text = (
            f"{join_names(rare)} is rare ({counts[rare[-1]] / total:.2%} of the samples): who always says "
            f"{quote(split.class_counts[0][0])} is right in {majority:.1%}; judge by F1 or average precision"
        )
        findings.append(Finding("balance", "notice", text, (split.label,)))
    return findings


@dataclass(frozen=True)
class Learnable:
    """The drawn samples that models can be fitted to: `places` among the drawn ones, class numbers from 0 on, `classes`."""

    places: Array
    labels: Array
    groups: Array | None
    names: tuple[str, ...]

    def take(self, features: Sequence[Feature]) -> list[Feature]:
        """The features of these samples."""
        return [Feature(item.name, item.values[self.places], item.categories) for item in features]


def choose_learnable(split: Split, most: int | None = None) -> Learnable | str:
    """What models can be fitted to, at most so many samples: classes of ten samples and more. Else the reason why nothing."""
    if split.labels is None:
        return "no label was named"
    places, names = np.arange(len(split.labels)), ()
    if most is not None and len(places) > most:
        places = np.sort(np.random.default_rng(0).choice(len(places), most, replace=False))
    labels = split.labels[places]
    if split.classes:
        kinds, counts = np.unique(labels, return_counts=True)
        learned = kinds[counts >= FEW]
        if not 2 <= len(learned) <= MOST_CLASSES:
            return f"{len(learned)} classes have {FEW} samples or more; 2 to {MOST_CLASSES} are taken"
        places = places[np.isin(labels, learned)]
        labels = np.searchsorted(learned, split.labels[places])
        names = tuple(split.class_counts[kind][0] for kind in learned)
    elif len(places) < FEW * FOLDS:
        return f"fewer than {FEW * FOLDS} samples"
    groups = None if split.groups is None else split.groups[places]
    if groups is not None and len(np.unique(groups)) < 2 * FOLDS:
        return f"fewer than {2 * FOLDS} groups"
    return Learnable(places, labels, groups, names)


def judge_leaks(split: Split) -> tuple[list[Finding], tuple[leakage.ColumnScore, ...], str]:
    """Columns (or facts) that give the label away, the scores of all, and why it was not looked for."""
    features = split.facts or (*split.features, *split.words)
    chosen = choose_learnable(split)
    if isinstance(chosen, str):
        return [], (), chosen
    if not features:
        return [], (), "no column beside the label"
    taken = (chosen.take(features), chosen.labels, chosen.groups, len(chosen.names))
    if split.facts:
        scores = tuple(leakage.score_columns(*taken))
        return [_tell_fact(item) for item in scores if item.score >= leakage.PERFECT], scores, ""
    leaks = leakage.find_leaks(*taken)
    measure = "area under the ROC curve" if split.classes else "R2"
    findings = []
    for item in leaks.leaks:
        text = (
            f"{quote(item.column)} alone tells {quote(split.label)} ({measure} {item.score:.3f}, the next best column "
            f"{leaks.next_best:.3f}): is it known before the outcome? "
            'If not, leave it out (kind = "ignored" in data.toml)'
        )
        perfect = item.score >= leakage.PERFECT
        findings.append(Finding("leakage", "spoils" if perfect else "notice", text, (item.column,)))
    return findings, leaks.scores, ""


def _tell_fact(item: leakage.ColumnScore) -> Finding:
    text = (
        f"{quote(item.column)} alone tells the label (score {item.score:.3f}): a model learns it instead of what the samples "
        "show; make the classes alike in it"
    )
    return Finding("leakage", "spoils", text, (item.column,))


def judge_labels(split: Split) -> tuple[list[Finding], LabelReport | None, str]:
    """Labels that are probably wrong, and why they were not looked at."""
    if not split.classes:
        return [], None, "the label is a number" if split.labels is not None else "no label was named"
    chosen = choose_learnable(split, max(1, WORK // split.classes))
    if isinstance(chosen, str):
        return [], None, chosen
    if not split.features:
        return [], None, "no column beside the label"
    outputs = predict_out_of_sample(chosen.take(split.features), chosen.labels, chosen.groups, len(chosen.names))
    errors = label_errors.find_label_errors(chosen.labels, outputs)
    suspects = []
    for index, suggested in zip(errors.indices[:100].tolist(), errors.suggested[:100].tolist(), strict=True):
        sample = split.name_sample(int(split.drawn[chosen.places[index]]))
        label = int(chosen.labels[index])
        shares = float(outputs[index, label]), float(outputs[index, suggested])
        suspects.append(SuspectLabel(sample, chosen.names[label], chosen.names[suggested], *shares))
    report = LabelReport(
        len(outputs), errors.wrong, errors.plain_wrong, tuple(suspects), len(errors.indices), errors.found
    )
    if not errors.found:
        return [], report, ""
    text = (
        f"about {len(errors.indices) / len(outputs):.1%} of the labels ({len(errors.indices):,} of {len(outputs):,} looked at) "
        f"are probably wrong: look at them first (confident learning, Northcutt et al. 2021)"
    )
    examples = tuple(
        f"{item.sample}: {printable(item.label)}, rather {printable(item.suggested)}" for item in suspects[:SHOWN]
    )
    return [Finding("labels", "spoils", text, (split.label,), examples)], report, ""


def judge_shift(split: Split, other: Split) -> tuple[list[Finding], tuple[shift.ColumnShift, ...]]:
    """Whether the splits are drawn from the same whole, one sample of each group where there are groups."""
    parts = []
    for item in (split, other):
        places = item.one_of_each_group()
        features = [*item.facts, *item.features]
        if item.labels is not None:
            names = tuple(name for name, _ in item.class_counts) or None
            features.append(Feature(item.label, item.labels, names))
        parts.append([Feature(feature.name, feature.values[places], feature.categories) for feature in features])
    shifts = tuple(shift.compare_splits(*parts))
    found = [item for item in shifts if item.significant]
    far = [item for item in found if item.distance >= FAR]
    near = [item for item in found if item.distance < FAR]
    findings = [Finding("shift", "spoils", _tell_shifts(other, far), tuple(item.column for item in far))] if far else []
    if near:
        findings.append(Finding("shift", "notice", _tell_shifts(other, near), tuple(item.column for item in near)))
    return findings, shifts


def _tell_shifts(other: Split, shifts: Sequence[shift.ColumnShift]) -> str:
    parts = [
        f"{'gaps of ' if item.what == 'missing' else ''}{quote(item.column)} (distance {item.distance:.2f}, p {item.p_value:.1g})"
        for item in shifts[:SHOWN]
    ]
    more = f" and {len(shifts) - SHOWN:,} more" if len(shifts) > SHOWN else ""
    return (
        f"{printable(other.path)} is distributed otherwise in {', '.join(parts)}{more}: what is calibrated or learned on one "
        "split may not hold on the other"
    )
