"""Writes vectors.json, on which the counters of all languages are tested: `python -m tests.monitoring.make_vectors`.

Each case has a profile, samples in JSON numbers that are read as float32, and the counts that NumPy makes of them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.deploy.contract.contract import Contract, ContractOutput, RawGoldens
from edgeship.monitoring.profile.build import Evaluation, build_profile
from edgeship.monitoring.profile.profile import parse_profile, profile_json
from tests.monitoring.recount import recount

Array = np.ndarray[Any, Any]
VECTORS = Path(__file__).parent / "vectors.json"
COUNT = 30


def _case(
    name: str,
    inputs: dict[str, Array],
    outputs: dict[str, Array],
    labels: dict[str, Array],
    activation: str = "unknown",
) -> dict[str, Any]:
    """The first half of the samples makes the profile, the second half is counted, moved a little."""
    half = {key: array[:COUNT] for key, array in inputs.items()}
    evaluation = Evaluation(
        data="a" * 64,
        server_model="b" * 64,
        artifacts={"tflite/int8": "c" * 64},
        batches=lambda: [half],
        server={key: array[:COUNT] for key, array in outputs.items()},
        answers={},
        labels={key: array[:COUNT] for key, array in labels.items()},
    )
    forms = tuple(
        ContractOutput(key, (1, *array.shape[1:]), activation)  # type: ignore[arg-type]
        for key, array in outputs.items()
    )
    contract = Contract("m", "b" * 64, (), forms, (), RawGoldens(reason="none"))
    profile = parse_profile(profile_json(build_profile(evaluation, contract)))
    random = np.random.default_rng(len(name))
    samples = [
        {
            "inputs": {key: _numbers(array[row]) for key, array in inputs.items()},
            "outputs": {key: _numbers(array[row]) for key, array in outputs.items()},
            "ms": round(float(random.lognormal(2)), 3) if random.random() < 0.9 else None,
        }
        for row in range(COUNT, len(next(iter(inputs.values()))))
    ]
    return {"name": name, "profile": profile_json(profile), "samples": samples, "counts": recount(profile, samples)}


def _numbers(array: Array) -> Any:
    """A float32 array as lists of numbers, NaN as null."""
    return (
        [_numbers(part) for part in array] if array.ndim else None if np.isnan(array) else float(str(np.float32(array)))
    )


def _round(array: Array, digits: int = 3) -> Array:
    """Numbers that are short in the file."""
    return np.round(array, digits).astype(np.float32)


def _softmax(scores: Array) -> Array:
    powers = np.exp(scores)
    return _round(powers / powers.sum(axis=1, keepdims=True), 5)


def main() -> None:
    """Write the file."""
    random = np.random.default_rng(7)
    n = 2 * COUNT
    noise = random.normal(size=(n, 10)) * 3
    image = _round(random.random((n, 24, 24, 1)) * (1 + np.arange(n).reshape(-1, 1, 1, 1) / n), 2)
    window = _round(random.normal(size=(n, 20, 3)) * [1, 5, 100], 2)
    table = _round(random.normal(size=(n, 4)) * [1, 10, 1000, 0], 1)
    table[random.random((n, 4)) < 0.1] = np.nan
    bad = _round(noise[:, :3], 4)
    bad[COUNT + 3, 1], bad[COUNT + 9, 0] = np.nan, np.inf
    wide = random.normal(size=(n, 100)) * 3
    whole = {"y": np.arange(n) % 3}
    cases = [
        _case("image, probabilities", {"image": image}, {"y": _softmax(noise)}, {}),
        _case("window, logits with NaN", {"window": window}, {"y": bad}, whole),
        _case("table, one probability", {"row": table}, {"y": _round(random.random((n, 1)), 6)}, {}, "sigmoid"),
        _case("table, one logit", {"row": table}, {"y": _round(noise[:, :1], 5)}, {"y": np.arange(n) % 2}, "none"),
        _case("many classes", {"row": table}, {"y": _softmax(wide)}, {}),
        _case("many logits", {"row": table}, {"y": _round(wide, 2)}, {"y": np.arange(n) % 100}),
        _case(
            "numbers, and two outputs",
            {"window": window, "row": table},
            {"length": _round(noise[:, 0], 5), "y": _softmax(noise[:, :4]), "map": _round(noise.repeat(54, axis=1), 1)},
            {},
        ),
        _case(
            "a model that never changes",
            {"x": np.ones((n, 40), np.float32)},
            {"y": np.full((n, 2), 0.5, np.float32)},
            {},
        ),
    ]
    VECTORS.write_text(json.dumps(cases, separators=(",", ":")).replace("Infinity", "1e999") + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
