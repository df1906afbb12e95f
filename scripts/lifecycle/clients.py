"""Devices that are simulated but for what they run: the real client, the real artifact, the real counter, the real network.

[client] = install_bundle(folder, bundle, 1)  # or install_from_channel
answers = client.use({"image": images}, truth, feedback=0.2)  # one count each
client.counter.send("http://127.0.0.1:8090/reports")
"""

from __future__ import annotations

import json
import time
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgeship.client import Client, Counter, SampleStore, UpdateResult
from edgeship.client.selftest.engines import Engine, open_engine
from edgeship.client.selftest.runtimes import find_runtime
from scripts.lifecycle.labels import Truths, digest_tensors

Array = NDArray[Any]
Device = TypeVar("Device")
Outcome = TypeVar("Outcome")
AT_ONCE = 2  # devices: self-tests are processes, runtimes compute without Python's lock, and a server answers meanwhile
TIERS = ("low", "mid", "mid", "high")


class InstalledModel(Protocol):
    """What an app needs of the model that it runs; `edgeship.client.Client` has it, once it was updated."""

    @property
    def version(self) -> int | None:
        """Its number in the channel; None: there is none."""

    @property
    def model(self) -> Path:
        """The file that a runtime opens."""

    @property
    def contract(self) -> dict[str, Any]:
        """Its `contract.json`."""

    @property
    def profile(self) -> Path | None:
        """Its `profile.json`."""

    @property
    def arms(self) -> dict[str, str]:
        """By experiment, the arm that the device was assigned to."""


class BundledModel:
    """An artifact of a bundle, as an app ships with it, without a channel."""

    version, arms = 0, dict[str, str]()

    def __init__(self, bundle: Path, artifact: str) -> None:
        self.contract: dict[str, Any] = json.loads((bundle / "contract.json").read_bytes())
        described = next(item for item in self.contract["artifacts"] if item["id"] == artifact)
        self.model, self.profile = bundle / described["path"], bundle / "profile.json"


class SimulatedClient:
    """An installation of an app. `folder`: what it keeps. `seed`: of what its user does.

    `used`: what was counted, from the raw answers: `inferences`, outcomes, `right` where the truth was given. `truths`: the right
    classes of samples that were kept for an audit, by `digest_tensors`.
    """

    def __init__(
        self, folder: Path, installed: InstalledModel, *, artifact: str = "tflite/int8", tier: str | None = None, seed: int = 0
    ) -> None:  # fmt: skip
        self.folder, self.installed = folder, installed
        self._artifact, self._tier = artifact, tier or TIERS[seed % len(TIERS)]
        self.chance = np.random.default_rng((seed, 19))
        self.used: Tally[str] = Tally()
        self.samples: SampleStore | None = None
        self.truths: Truths = {}
        self._runs = self._open()

    def _open(self) -> tuple[int | None, dict[str, str]]:
        """Make what depends on the version that runs and on the device's arms; which they are."""
        if self.installed.profile is None:
            raise ValueError(f"version {self.installed.version} has no profile to count by")
        contract, form = self.installed.contract, self._artifact.partition("/")[0]
        described = next(item for item in contract["artifacts"] if item["id"] == self._artifact)
        runtime = find_runtime(form)
        self.engine: Engine = open_engine(form, self.installed.model, described)
        self.counter = Counter(
            self.installed.profile, artifact=self._artifact, state=self.folder / "counts",
            runtime=runtime.name if runtime else form, arms=self.installed.arms, tier=self._tier,
        )  # fmt: skip
        return self.installed.version, self.installed.arms

    def update(self) -> UpdateResult:
        """Ask the channel for another version, as the app does now and then. Raises TypeError where there is no channel."""
        if not isinstance(self.installed, Client):
            raise TypeError("this client's model came with its app")
        return self.installed.update()

    def use(self, inputs: Mapping[str, Array], truth: Array | None = None, feedback: float = 0.0) -> Array:
        """Run the artifact on samples (n, ...) by input, count each, and return the predicted classes (n,).

        `truth` (n,): the right classes, of which the user tells in a share of `feedback`: `accepted` or `corrected`.
        """
        if (self.installed.version, self.installed.arms) != self._runs:
            self.counter.save()
            self._runs = self._open()
            if self.samples:
                self.samples.save()
                self.agree()
        number = len(next(iter(inputs.values())))
        tensors = {name: np.asarray(values, np.float32) for name, values in inputs.items()}
        begin = time.perf_counter()
        answers = {name: values.reshape(number, -1) for name, values in self.engine.run(tensors).items()}
        milliseconds = 1000 * (time.perf_counter() - begin) / number
        predicted = np.full(number, -1)
        for place in range(number):
            sample = {name: values[place] for name, values in tensors.items()}
            answer = {name: values[place] for name, values in answers.items()}
            found = self.counter.count(answer, sample, milliseconds=milliseconds)
            predicted[place] = -1 if found is None else found
            if self.samples and self.samples.offer(answer, sample) and truth is not None:
                self.truths[digest_tensors(sample)] = int(truth[place])
        self.used["inferences"] += number
        if truth is not None:
            self._tell_outcomes(predicted, truth, feedback)
        return predicted

    def agree(self) -> SampleStore:
        """The user agrees that inputs are kept for audits: where they are."""
        if self.installed.profile is None:
            raise ValueError("there is no profile to keep samples by")
        self.samples = SampleStore(self.installed.profile, artifact=self._artifact, state=self.folder / "samples")
        self.samples.allow()
        return self.samples

    def disagree(self) -> None:
        """The user takes that back: what is kept is deleted. What was sent is with the server."""
        if self.samples:
            self.samples.forget()
            self.samples = None

    def _tell_outcomes(self, predicted: Array, truth: Array, feedback: float) -> None:
        right = predicted == truth
        self.used["right"] += int(right.sum())
        for place in np.flatnonzero(self.chance.random(len(truth)) < feedback):
            event = "accepted" if right[place] else "corrected"
            self.counter.outcome(event, int(predicted[place]))
            self.used[event] += 1


def install_bundle(folder: Path, bundle: Path, count: int, *, artifact: str = "tflite/int8") -> list[SimulatedClient]:
    """So many installations of an app that a bundle's artifact came with; what they keep lies below `folder`."""
    model = BundledModel(bundle, artifact)
    return [SimulatedClient(folder / f"client-{place}", model, artifact=artifact, seed=place) for place in range(count)]


def install_from_channel(
    folder: Path, url: str, root: Path, count: int, *, name: str, artifact: str = "tflite/int8"
) -> list[SimulatedClient]:
    """So many devices that fetched their model from a channel, verified it and ran its self-test.

    Raises RuntimeError where one has no model after that.
    """
    places = [folder / f"client-{place}" for place in range(count)]
    devices = [
        Client(url, name=name, artifact=artifact, state=place / "model", root=root, device_id=f"device-{number}")
        for number, place in enumerate(places)
    ]
    for result in update_all(devices):
        if result.status != "updated":
            raise RuntimeError(f"a device has no model: {result.status}, {result.error}")
    return [
        SimulatedClient(place, device, artifact=artifact, seed=number)
        for number, (place, device) in enumerate(zip(places, devices, strict=True))
    ]


def update_all(devices: Sequence[Client | SimulatedClient]) -> list[UpdateResult]:
    """All of them ask their channel."""
    return run_beside(lambda device: device.update(), devices)


def run_beside(action: Callable[[Device], Outcome], devices: Iterable[Device]) -> list[Outcome]:
    """What an action gives of each device, in their order; AT_ONCE go on side by side, each in one thread."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(action, devices))
