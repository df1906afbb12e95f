"""Accuracy of an artifact beside the server model's, on the same labelled samples (measuring.md 5)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from edgeship.benchmarks.compare import statistics
from edgeship.benchmarks.compare.metrics import EXACT, TaskMetric, choose, decisions, shares, threshold_of
from edgeship.errors import CheckError, InputError

Array = np.ndarray[Any, Any]
FLIPS_KEPT = 200
BINS = 15
SURE = 0.5


def measure(
    labels: Mapping[str, Array], server: Mapping[str, Array], artifact: Mapping[str, Array], metric: str | None = None
) -> dict[str, Any]:
    """Compare every labelled output; `labels` are a data file's `y` and `y_<output>` arrays.

    Returns the comparison of the output that lost most (see `compare`), with its name as `output` and all comparisons
    by name as `outputs`. Raises InputError where labels are missing or do not fit, CheckError where outputs differ.
    """
    matched = match_labels(labels, tuple(server))
    missing = [name for name in matched if name not in artifact]
    if missing:
        raise CheckError(f"the artifact has no output '{missing[0]}' (it has: {', '.join(artifact)})")
    outputs = {name: compare(truth, server[name], artifact[name], metric) for name, truth in matched.items()}
    worst = max(outputs, key=lambda name: _relative_drop(outputs[name]))
    return {**outputs[worst], "output": worst, "outputs": outputs}


def match_labels(labels: Mapping[str, Array], outputs: tuple[str, ...]) -> dict[str, Array]:
    """Labels by output name. `y` belongs to the only output; several outputs take `y_<output>` each.

    Raises InputError where there are none, or where it is not clear whose they are.
    """
    if not labels:
        raise InputError("the evaluation data has no labels: add an array y, or y_<output> for each output")
    if set(labels) == {"y"}:
        if len(outputs) > 1:
            named = ", ".join(f"y_{name}" for name in outputs)
            raise InputError(f"the model has {len(outputs)} outputs: call the labels {named} instead of y")
        return {outputs[0]: labels["y"]}
    strange = [name for name in labels if name.removeprefix("y_") not in outputs]
    if strange:
        raise InputError(f"labels '{strange[0]}' belong to no output (outputs: {', '.join(outputs)})")
    return {name.removeprefix("y_"): array for name, array in labels.items()}


def _relative_drop(comparison: Mapping[str, Any]) -> float:
    if comparison["drop"] is None:
        return math.inf
    return float(comparison["drop"]) / (abs(comparison["server"]) or 1.0)


def compare(labels: Array, server: Array, artifact: Array, metric: str | None = None) -> dict[str, Any]:
    """One output of both models on the same samples, arrays (n, ...).

    Returns metric, share (whether between 0 and 1), higher_is_better, n, value and server (the figures), drop
    (positive: the artifact is worse) with its paired 95 % interval low and high and the method's name, disagreement
    (share of samples that score differently), per_class, flips (the first 200; flips_total counts all), sure_flips,
    ece, ece_server, notes. Outputs with NaN or infinity give value, drop, low, high None and the reason: they are no pass.
    Raises InputError where the labels do not fit, CheckError where the shapes differ or an output is no numbers.
    """
    if server.shape != artifact.shape:
        raise CheckError(f"the artifact's output has shape {artifact.shape}, the server model's {server.shape}")
    task, truth, server = choose(labels, server, metric)
    for output in (server, artifact):
        if output.dtype.kind not in "biuf":
            raise CheckError(f"an output is {output.dtype}, and not real numbers")
    result = _empty(task, len(truth))
    result["reason"] = _not_finite("server model", server) or _not_finite("artifact", artifact)
    if result["reason"]:
        return result
    both = _Pair(task, truth, server, artifact)
    with np.errstate(over="ignore", invalid="ignore"):
        found = _difference(both)
    if not all(
        math.isfinite(found[key]) for key in ("value", "server", "drop", "low", "high") if found[key] is not None
    ):
        return {**result, "reason": f"no {task.name} can be told: no label counts, or the errors are too large"}
    result.update(found)
    if task.classes or task.name == "binary_accuracy":
        result.update(_flips(both), per_class=per_class(both), sure_flips=sure_flips(both), **_calibration(both))
    return result


def _empty(task: TaskMetric, n: int) -> dict[str, Any]:
    told = {"metric": task.name, "share": task.share, "higher_is_better": task.higher_is_better, "n": n}
    figures = (
        "value",
        "server",
        "drop",
        "low",
        "high",
        "disagreement",
        "ece",
        "ece_server",
        "flips_total",
        "sure_flips",
    )
    return {
        **told,
        **dict.fromkeys(figures),
        "per_class": [],
        "flips": [],
        "sure_flips": None,
        "notes": [],
        "reason": "",
        "method": "",
    }


def _not_finite(whose: str, outputs: Array) -> str:
    bad = int((~np.isfinite(outputs)).sum()) if outputs.dtype.kind == "f" else 0
    return f"{bad} of {outputs.size} output values of the {whose} are NaN or infinite" if bad else ""


class _Pair:
    """Both models' outputs with the truth; decisions of a binary score take the server model's threshold for both."""

    def __init__(self, task: TaskMetric, truth: Array, server: Array, artifact: Array) -> None:
        self.task, self.truth = task, truth
        self.scores = (server, artifact)
        self.threshold = threshold_of(server)
        self.given = tuple(decisions(task, scores, self.threshold) for scores in self.scores)
        decided = task.name in ("binary_accuracy", EXACT)
        self.parts = tuple(
            task.parts(truth, given if decided else scores)
            for given, scores in zip(self.given, self.scores, strict=True)
        )


def _difference(both: _Pair) -> dict[str, Any]:
    task, (server, artifact) = both.task, both.parts
    figures = [float(task.combine(parts.sum(axis=0))) for parts in (server, artifact)]
    sign = 1.0 if task.higher_is_better else -1.0
    drop = sign * (figures[0] - figures[1])
    plain = task.name in {"top1", "top5", "binary_accuracy", EXACT} and both.truth[0].size == 1
    if plain:
        gained = int((artifact[:, 0] > server[:, 0]).sum())
        lost = int((artifact[:, 0] < server[:, 0]).sum())
        interval: statistics.Interval | None = statistics.paired_difference(lost, gained, len(server))
        disagreement = (gained + lost) / len(server)
    else:
        disagreement = float((server != artifact).any(axis=1).mean())
        if task.share and disagreement == 0:
            # No resample differs from another, which says nothing about how often samples may: Tango's interval does.
            interval = statistics.paired_difference(0, 0, len(server))
        else:
            interval = _bootstrap(task, server, artifact, sign)
    return {
        "value": figures[1],
        "server": figures[0],
        "drop": drop,
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        "method": "Tango 1998 score interval" if plain else "BCa bootstrap, paired",
        "disagreement": disagreement,
        "reason": "" if interval else f"{len(server)} samples give no interval",
    }


def _bootstrap(task: TaskMetric, server: Array, artifact: Array, sign: float) -> statistics.Interval | None:
    """The interval of the drop, resampling samples with both models' answers to each together."""
    groups = statistics.groups_of(len(server))
    columns = server.shape[1]
    sums = np.zeros((groups.max() + 1, 2 * columns))
    np.add.at(sums, groups, np.concatenate([server, artifact], axis=1))
    return statistics.bootstrap(
        sums, lambda total: sign * (task.combine(total[..., :columns]) - task.combine(total[..., columns:]))
    )


def per_class(both: _Pair) -> list[dict[str, Any]]:
    """Per true class: n, both models' recall, the drop with its interval, and p (McNemar) with Holm's correction."""
    truth = both.truth.ravel()
    server, artifact = (given.ravel() == truth for given in both.given)
    classes = np.unique(truth[truth >= 0])
    order = np.minimum(np.searchsorted(classes, truth), len(classes) - 1)
    counts = [
        np.bincount(order[(truth >= 0) & chosen], minlength=len(classes))
        for chosen in (truth >= 0, server, artifact, artifact & ~server, server & ~artifact)
    ]
    rows = []
    for name, n, right, kept, gained, lost in zip(classes, *counts, strict=True):
        interval = statistics.paired_difference(int(lost), int(gained), int(n))
        rows.append(
            {
                "class": int(name), "n": int(n), "server": right / n, "artifact": kept / n, "drop": (right - kept) / n,
                "low": interval.low, "high": interval.high, "p": statistics.mcnemar(int(gained), int(lost)),
            }
        )  # fmt: skip
    for row, adjusted in zip(rows, statistics.holm([row["p"] for row in rows]), strict=True):
        row.update(p_holm=adjusted, significant=adjusted < 0.05)
        row.update({key: float(row[key]) for key in ("server", "artifact", "drop")})
    return rows


def _flips(both: _Pair) -> dict[str, Any]:
    """The samples that the two models answer differently, one answer per sample (others have no list, only a count)."""
    server, artifact = (given.reshape(len(given), -1) for given in both.given)
    differ = np.flatnonzero((server != artifact).any(axis=1))
    if server.shape[1] > 1:
        return {"flips_total": len(differ), "flips": []}
    sure = [_confidence(scores, both).reshape(len(server), -1)[:, 0] for scores in both.scores]
    truth = both.truth.reshape(len(both.truth), -1)
    flips = [
        {
            "index": int(index), "label": int(truth[index, 0]), "server": int(server[index, 0]),
            "artifact": int(artifact[index, 0]), "server_confidence": float(sure[0][index]),
            "artifact_confidence": float(sure[1][index]),
        }
        for index in differ[:FLIPS_KEPT]
    ]  # fmt: skip
    return {"flips_total": len(differ), "flips": flips}


def sure_flips(both: _Pair) -> dict[str, Any] | None:
    """How many answers are others where the server model's leads by over 0.5 in probability: n, flips, share, low, high.

    To turn such an answer an output has to be off by over 0.25. Noise of quantization does that next to never, another
    model of the same accuracy (a stale one, wrong batch norm) often. None where the server model is never sure.
    """
    if both.task.classes:
        best = np.partition(probabilities(both.scores[0])[0], -2, axis=-1)[..., -2:]
        lead = best[..., 1] - best[..., 0]
    else:
        lead = 2 * _confidence(both.scores[0], both) - 1
    sure = (both.truth >= 0) & (lead > SURE)
    n, flips = int(sure.sum()), int((both.given[0] != both.given[1])[sure].sum())
    if not n:
        return None
    interval = statistics.wilson(flips, n)
    return {"n": n, "flips": flips, "share": flips / n, "low": interval.low, "high": interval.high}


def probabilities(scores: Array) -> tuple[Array, bool]:
    """Class scores (n, ..., C) as probabilities, and whether softmax had to be applied because they were logits."""
    values = scores.astype(np.float64)
    if shares(values):
        return values, False
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True), True


def _confidence(scores: Array, both: _Pair) -> Array:
    """The probability that each sample's answer is given, (n, ...)."""
    if both.task.classes:
        return np.asarray(probabilities(scores)[0].max(axis=-1))
    values = scores.astype(np.float64).reshape(both.truth.shape)
    yes = np.clip(values, 0, 1) if both.threshold == 0.5 else 1 / (1 + np.exp(-values))
    return np.maximum(yes, 1 - yes)


def _calibration(both: _Pair) -> dict[str, Any]:
    counted = both.truth >= 0
    eces = []
    for given, scores in zip(both.given, both.scores, strict=True):
        eces.append(ece(_confidence(scores, both)[counted], (given == both.truth)[counted]))
    logits = probabilities(both.scores[0])[1] if both.task.classes else both.threshold == 0.0
    name = "softmax" if both.task.classes else "sigmoid"
    notes = [f"the outputs are logits: {name} was applied for confidences and calibration error"] if logits else []
    return {"ece_server": eces[0], "ece": eces[1], "notes": notes}


def ece(confidence: Array, right: Array) -> float:
    """Expected calibration error, sum of n_b/n * |accuracy - confidence| in 15 equal-width bins (arXiv 1706.04599)."""
    bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    gaps = np.bincount(bins, weights=confidence - right.astype(np.float64), minlength=BINS)
    return float(np.abs(gaps).sum() / len(confidence))
