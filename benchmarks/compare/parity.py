"""How near an artifact's outputs are to the server model's, without labels (measuring.md 6)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from edgeship.benchmarks.compare.metrics import are_probabilities, predicted_classes, threshold_of, within_0_and_1
from edgeship.benchmarks.compare.statistics import exact_interval
from edgeship.bundle.figures.comparisons import OutputParity
from edgeship.errors import CheckError

Array = np.ndarray[Any, Any]
DECISION = 0.5  # the threshold of probabilities
ROUNDING = 1e-12  # of float64 sums: a smaller share of them is none
SQNR_LIMIT = 200.0  # dB, beyond what float32 can tell apart; identical outputs are written down as this


def compare(server: Mapping[str, Array], artifact: Mapping[str, Array]) -> dict[str, OutputParity]:
    """The parity of each output, by name: arrays (n, ...) of the same samples, after dequantization.

    Raises CheckError where an output is missing, unexpected or of another shape: then nothing can be compared.
    """
    if set(server) != set(artifact):
        raise CheckError(
            f"the artifact's outputs ({', '.join(sorted(artifact))}) "
            f"are not the server model's ({', '.join(sorted(server))})"
        )
    return {name: compare_output(name, reference, artifact[name]) for name, reference in server.items()}


def compare_output(name: str, server: Array, artifact: Array) -> OutputParity:
    """The parity of one output.

    `cosine` is of all values as one vector, `sqnr_db` 10 * log10 of signal over error energy. Of whole numbers, which are
    ids, error energy says nothing. Answers are the argmax over the last axis, a threshold for single scores and for
    several of which any may hold, and whole numbers themselves.
    Raises CheckError on different shapes, and where outputs are not numbers per sample.
    """
    if server.shape != artifact.shape:
        raise CheckError(f"output '{name}' has shape {artifact.shape}, the server model's {server.shape}")
    for array in (server, artifact):
        check_numbers(name, array)
    bad = int((~np.isfinite(artifact)).sum()) if artifact.dtype.kind == "f" else 0
    bad_server = int((~np.isfinite(server)).sum()) if server.dtype.kind == "f" else 0
    nothing = OutputParity("", len(server), bad, bad_server, whole=server.dtype.kind in "biu")
    if not server.size:
        return replace(nothing, reason="no samples")
    if bad or bad_server:
        whose = "artifact" if bad else "server model"
        reason = f"{bad or bad_server} of {server.size} values of the {whose} are NaN or infinite"
        return replace(nothing, reason=reason)
    with np.errstate(over="ignore", invalid="ignore"):
        result = _measure_errors(nothing, server.astype(np.float64).ravel(), artifact.astype(np.float64).ravel())
    if result is None:
        return replace(nothing, reason="its values are too large for their errors to be told")
    result = replace(_with_margins(result, server, artifact), constant_sqnr_db=_constant_sqnr(server))
    same = _same_answers(server, artifact)
    if same is None:
        return result
    # Several answers to one sample are not independent: samples are counted, each with its share of answers.
    agreement = float(same.mean())
    interval = exact_interval(agreement * len(same), len(same))
    return replace(
        result,
        agreement=agreement,
        agreement_low=interval.low,
        agreement_high=interval.high,
        agreement_n=same.size,
        constant_agreement=_share_of_commonest(server),
    )


def check_numbers(name: str, output: Array) -> None:
    """Raise CheckError for an output that is not real numbers, samples along its first axis."""
    if not output.ndim:
        raise CheckError(f"output '{name}' is one value for all samples, which says nothing about each of them")
    if output.dtype.kind not in "biuf":
        raise CheckError(f"output '{name}' is {output.dtype}: only real numbers are compared")


def _measure_errors(nothing: OutputParity, server: Array, artifact: Array) -> OutputParity | None:
    """`nothing` with the errors of two vectors, or None where a square is beyond all numbers."""
    error = artifact - server
    noise, signal, other = float(error @ error), float(server @ server), float(artifact @ artifact)
    if not all(map(math.isfinite, (noise, signal, other))):
        return None
    if noise == 0:
        sqnr, cosine = SQNR_LIMIT, 1.0
    else:
        ratio = signal / noise
        sqnr = 10 * math.log10(ratio) if ratio else -SQNR_LIMIT
        cosine = float(server @ artifact) / math.sqrt(signal * other) if signal and other else 0.0
    return replace(
        nothing,
        max_abs_error=float(np.abs(error).max()),
        mean_abs_error=float(np.abs(error).mean()),
        cosine=min(1.0, max(-1.0, cosine)),
        sqnr_db=min(SQNR_LIMIT, max(-SQNR_LIMIT, sqnr)),
        server_span=float(server.max() - server.min()),
    )


def _constant_sqnr(server: Array) -> float | None:
    """The SQNR in dB of the mean over all samples as the only answer; None where each sample has the same values."""
    values, mean = server.astype(np.float64).ravel(), server.mean(axis=0, dtype=np.float64).ravel()
    signal = float(values @ values)
    noise = signal - len(server) * float(mean @ mean)
    return 10 * math.log10(signal / noise) if noise > ROUNDING * signal else None


def _with_margins(result: OutputParity, server: Array, artifact: Array) -> OutputParity:
    """`result` with the share of answers whose margin the artifact's error reaches, whichever way the error goes.

    The margin of a class is its score above the next one's, of a decision its score's distance from the threshold. Every answer
    counts once. Of decisions the share is that of the rarer answer, yes or no: where it is rare, each that turns costs precision
    or recall, and the many others hide it. In between the two counts go over into each other.
    """
    if server.dtype.kind in "biu":
        return result
    scores, others = server.astype(np.float64), artifact.astype(np.float64)
    if _has_classes(server):
        best = np.argpartition(scores, -2, axis=-1)[..., -2:]
        margin, error = (np.diff(np.take_along_axis(of, best, -1), axis=-1) for of in (scores, others - scores))
        answers = margin.size
    elif threshold_of(server) == DECISION:
        margin, error = scores - DECISION, others - scores
        yes = int((margin > 0).sum())
        rarer = min(yes, margin.size - yes)
        answers = round(rarer * (1 + 2 * rarer / margin.size))  # all where both are as frequent
    else:
        return result
    if not answers:
        return result
    reached = int(((np.abs(error) >= np.abs(margin)) & (error != 0)).sum())
    share = min(1.0, reached / answers)
    independent = min(answers, len(server))  # those of one sample resemble each other
    low = exact_interval(math.floor(share * independent), independent).low
    sure = _has_classes(server) and are_probabilities(server)
    return replace(result, margins_reached=share, margins_reached_low=low, probabilities=sure)


def _has_classes(server: Array) -> bool:
    """Whether the last axis holds the scores of classes, of which one is the answer."""
    return server.ndim > 1 and server.shape[-1] > 1 and (are_probabilities(server) or not within_0_and_1(server))


def has_answers(output: Array) -> bool:
    """Whether an output (n, ...) of the server model holds answers, which may be the same: classes, decisions, whole numbers."""
    return _same_answers(output, output) is not None


def _same_answers(server: Array, artifact: Array) -> Array | None:
    """Which answers are the same, or None where outputs are no answers: floats that are neither scores nor shares."""
    read = _reader_of_answers(server)
    return None if read is None else np.asarray(read(server) == read(artifact))


def _reader_of_answers(server: Array) -> Callable[[Array], Array] | None:
    if server.dtype.kind in "biu":
        return np.asarray
    if _has_classes(server):
        return predicted_classes
    return (lambda scores: scores > DECISION) if threshold_of(server) == DECISION else None


def _share_of_commonest(server: Array) -> float | None:
    """The share of the server model's answers that are the commonest one; None where there are none."""
    read = _reader_of_answers(server)
    return None if read is None else float(np.unique(read(server), return_counts=True)[1].max() / read(server).size)


def worst_figures(parity: Mapping[str, OutputParity]) -> dict[str, float | None]:
    """The worst figure over all outputs by its name: what the table shows. None where any output has none.

    Agreement is taken over the outputs that are answers; None where there is none.
    """
    largest, smallest = ("max_abs_error", "mean_abs_error"), ("cosine", "sqnr_db", "agreement")
    result: dict[str, float | None] = {}
    for name in largest + smallest:
        values = [
            getattr(output, name)
            for output in parity.values()
            if name != "agreement" or output.agreement is not None or output.reason
        ]
        pick = max if name in largest else min
        result[name] = None if not values or any(value is None for value in values) else pick(values)
    return result
