"""What a bundle's samples must look like: by its profile and its contract."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from edgeship.deploy.contract.contract import Contract, parse_contract
from edgeship.deploy.contract.file import FILE as CONTRACT
from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.monitoring.inbox.bundles import BundleProfile
from edgeship.monitoring.profile.profile import FILE as PROFILE
from edgeship.monitoring.profile.profile import Profile, parse_profile
from edgeship.untrusted import parse_json

NUMBERS = {
    "float16": 2, "float32": 4, "float64": 8, "int8": 1, "uint8": 1, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "int64": 8,
}  # fmt: skip
MOST_BYTES = 16 << 20  # of a sample


@dataclass(frozen=True)
class TensorOfSample:
    """An input of the model: the shape of one sample (None: any size), and the dtypes that are taken."""

    name: str
    shape: tuple[int | None, ...]
    dtypes: tuple[str, ...]

    @property
    def most_bytes(self) -> int:
        """How large one may be."""
        size = max(NUMBERS[name] for name in self.dtypes)
        for axis in self.shape:
            size *= axis if axis is not None else MOST_BYTES
        return min(size, MOST_BYTES)


@dataclass(frozen=True)
class SampleForm:
    """What samples of a bundle are checked by. `manifests`: the sha256 of those that come with the profile, as far as known."""

    profile: Profile
    manifests: frozenset[str]
    inputs: tuple[TensorOfSample, ...]

    @property
    def most_bytes(self) -> int:
        """Of the tensors of a sample."""
        return min(sum(item.most_bytes for item in self.inputs), MOST_BYTES)


def make_forms(found: Iterable[BundleProfile]) -> dict[str, SampleForm]:
    """By the sha256 of the profile; without bundles that samples cannot be of: no contract, no classes, inputs of texts."""
    forms: dict[str, SampleForm] = {}
    for item in found:
        name = hashlib.sha256(item.body).hexdigest()
        profile = parse_profile(parse_json(item.body, PROFILE))
        inputs = _list_inputs(parse_contract(parse_json(item.contract, CONTRACT))) if item.contract else ()
        if not inputs or profile.first_classes is None:
            continue
        known = forms[name].manifests if name in forms else frozenset()
        forms[name] = SampleForm(profile, known | ({item.manifest} - {""}), inputs)
    return forms


def _list_inputs(contract: Contract) -> tuple[TensorOfSample, ...]:
    """Of the contract, in the order of their names; empty where one is not of numbers."""
    if any(item.tensor.dtype not in NUMBERS for item in contract.inputs):
        return ()
    return tuple(
        TensorOfSample(item.name, tuple(item.tensor.shape[1:]), tuple(dict.fromkeys(("float32", item.tensor.dtype))))
        for item in sorted(contract.inputs, key=lambda item: item.name)
    )


def check_forms(forms: dict[str, SampleForm]) -> None:
    """Raise InputError where there is no bundle that samples can be taken of."""
    if not forms:
        raise InputError(
            f"no bundle that is named can have samples: one with a {CONTRACT}, inputs of numbers and classes; an inbox remembers "
            "profiles, not contracts: name the --bundle, --channel or --registry"
        )
