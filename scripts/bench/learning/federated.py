"""Heads that clients learned, averaged on a server: writes docs/results/learning/federated.md. A simulation, no service.

Twenty clients see tilted images of fashion-mnist, each by an angle and with a taste in classes of its own, and label 64 of them.
Each learns as a device does; with its consent the difference of its head from the one that it was sent goes to a server, which
adds the mean of them (FederatedAveraging, McMahan et al. 2017, arXiv:1602.05629):

    python -m scripts.bench.learning.federated BUNDLE EVALUATION
"""

from __future__ import annotations

import argparse
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from edgeship.client.learning import HeadLearner
from edgeship.client.learning.arithmetic import Head, count_steps, list_batches, measure_quality, take_step
from edgeship.client.learning.package import Package, Samples
from edgeship.light_dataclass import dataclass
from scripts import RESULTS
from scripts.bench.learning.shifted_images import compute_features, read_images, shift_images

Array = np.ndarray[Any, Any]
PAGE = RESULTS / "learning" / "federated.md"
CLIENTS, LABELS, TESTS, ROUNDS = 20, 64, 250, 10
ANGLES = (12, 14, 16, 18, 20)
SEEDS = (0, 1, 2)
SHOWN = (1, 3, 10)
TASTE = 1.0  # of the Dirichlet distribution of a client's classes
NORM = 1.0  # the norm that a delta is clipped to, as a share of the median one of the first round


@dataclass(frozen=True)
class Client:
    """What a client learns from, and what it will see: features and targets of its own angle and taste."""

    learned: Samples
    tested: Samples


@dataclass(frozen=True)
class World:
    """The package, clients, and the clean test images."""

    package: Package
    clients: tuple[Client, ...]
    clean: Samples


def make_pools(bundle: Path, evaluation: Path, base: str) -> tuple[Package, dict[int, Samples]]:
    """The features of all test images by angle (0 is clean)."""
    images, labels = read_images(evaluation)
    with tempfile.TemporaryDirectory() as state:
        learner = HeadLearner(bundle / "learning", state, base)
        target = learner.package.make_target(labels)
        turned = {angle: shift_images(images, f"rotation {angle}") if angle else images for angle in (0, *ANGLES)}
        return learner.package, {
            angle: Samples(compute_features(learner, item), target) for angle, item in turned.items()
        }


def make_world(package: Package, pools: dict[int, Samples], seed: int) -> World:
    """Clients with disjoint samples of their own; what is tested on is never learned from."""
    rng = np.random.default_rng(seed)
    classes = pools[0].target.argmax(1)
    order = rng.permutation(len(classes))
    learn, test = order[: len(order) // 2], order[len(order) // 2 :]
    clients = []
    for number in range(CLIENTS):
        pool, taste = pools[ANGLES[number % len(ANGLES)]], rng.dirichlet([TASTE] * package.outputs)
        parts = []
        for rows, count in ((learn[number::CLIENTS], LABELS), (test, TESTS)):
            weights = taste[classes[rows]] / np.bincount(classes[rows], minlength=package.outputs)[classes[rows]]
            drawn = rng.choice(rows, count, replace=len(rows) < 2 * count, p=weights / weights.sum())
            parts.append(Samples(pool.features[drawn], pool.target[drawn]))
        clients.append(Client(*parts))
    return World(package, tuple(clients), Samples(pools[0].features[test], pools[0].target[test]))


def learn_locally(package: Package, head: Head, samples: Samples, passes: int) -> Head:
    """What a device does from a head that it was sent: the same steps, in numpy (equal to `head_step` to 1e-6)."""
    replay = package.replay
    steps = count_steps(len(samples), len(replay), package.batch, passes, (1, 2000))
    for fresh, kept in list_batches(len(samples), len(replay), package.batch, steps):
        features = np.concatenate([samples.features[fresh], replay.features[kept]])
        target = np.concatenate([samples.target[fresh], replay.target[kept]])
        head, _ = take_step(features, target, float(package.content["rate"]), head, package.activation)
    return head


def average_round(world: World, head: Head, passes: int) -> Head:
    """The head of the next round. Deltas are clipped to a norm, so that no client decides alone."""
    deltas = []
    for client in world.clients:
        local = learn_locally(world.package, head, client.learned, passes)
        deltas.append(np.concatenate([(new - old).ravel() for new, old in zip(local, head, strict=True)]))
    norms = np.array([np.linalg.norm(delta) for delta in deltas])
    most = NORM * float(np.median(norms))
    mean = np.mean([delta * min(1.0, most / norm) for delta, norm in zip(deltas, norms, strict=True)], axis=0)
    size = head.weights.size
    return Head(
        head.weights + mean[:size].reshape(head.weights.shape).astype(np.float32),
        head.bias + mean[size:].astype(np.float32),
    )


def measure_world(world: World, heads: list[Head]) -> list[float]:
    """Percent right: mean over clients of their own data, of the worst client, and of clean images (mean over heads)."""
    activation = world.package.activation
    own = [
        measure_quality(client.tested.features, client.tested.target, head, activation)
        for client, head in zip(world.clients, heads, strict=True)
    ]
    clean = [
        measure_quality(world.clean.features, world.clean.target, head, activation)
        for head in {id(h): h for h in heads}.values()
    ]
    return [100 * float(np.mean(own)), 100 * min(own), 100 * float(np.mean(clean))]


def run_world(world: World) -> dict[str, list[float]]:
    """The figures of each way to learn."""
    shipped, clients = world.package.head, world.clients
    pooled = Samples(
        *(np.concatenate([getattr(client.learned, name) for client in clients]) for name in ("features", "target"))
    )
    found = {"the shipped head": measure_world(world, [shipped] * CLIENTS)}
    alone = [learn_locally(world.package, shipped, client.learned, 20) for client in clients]
    found["each client alone"] = measure_world(world, alone)
    head = shipped
    for number in range(1, ROUNDS + 1):
        head = average_round(world, head, 5)
        if number in SHOWN:
            found[f"averaged, {number} round{'s' if number > 1 else ''}"] = measure_world(world, [head] * CLIENTS)
    last = [learn_locally(world.package, head, client.learned, 20) for client in clients]
    found[f"averaged, {ROUNDS} rounds, then each alone"] = measure_world(world, last)
    central = learn_locally(world.package, shipped, pooled, 20)
    found["all samples on the server"] = measure_world(world, [central] * CLIENTS)
    return found


def render(package: Package, worlds: list[dict[str, list[float]]], seconds: float) -> str:
    """The page."""
    rows = []
    for name in worlds[0]:
        figures = np.array([world[name] for world in worlds])
        cells = [
            f"{value:.1f} ({spread:.1f})" for value, spread in zip(figures.mean(0), figures.std(0, ddof=1), strict=True)
        ]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    size = 4 * sum(item.size for item in package.head)
    lines = [
        "# Heads that clients learned, averaged on a server: a simulation",
        "",
        f"By `python -m scripts.bench.learning.federated BUNDLE EVALUATION`; `simulated`. {CLIENTS} clients, each with images of "
        f"fashion-mnist turned by one of {', '.join(map(str, ANGLES))} degrees, a taste of its own (Dirichlet({TASTE:g})), "
        f"{LABELS} labelled samples to learn from and {TESTS} to test on. A round: each client learns from the head that it was "
        f"sent (5 passes, half replayed samples), and sends the difference of its head, {size:,} bytes, clipped to the "
        "median norm; the server adds the mean. Percent right, mean of three worlds (standard deviation).",
        f"{date.today().isoformat()}, {seconds:.0f} s.",
        "",
        "| | own data, mean of clients | worst client | clean images |",
        "|---|---|---|---|",
        *rows,
        "",
        "What it is: arithmetic in one process. There is no service, no transport, no client that drops out or lies, no secure "
        "aggregation; docs/learning/on-device.md says what a delta gives away.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("evaluation", type=Path)
    parser.add_argument("--base", default="tflite/int8")
    arguments = parser.parse_args()
    started = time.perf_counter()
    package, pools = make_pools(arguments.bundle, arguments.evaluation, arguments.base)
    worlds = [run_world(make_world(package, pools, seed)) for seed in SEEDS]
    text = render(package, worlds, time.perf_counter() - started)
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
