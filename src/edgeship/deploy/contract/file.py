"""`contract.json` in a bundle's draft, as plain JSON. An old file may be another bundle's, too, and stays as it is."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from edgeship.bundle.manifest import ArtifactEntry
from edgeship.storage.atomic import atomic_file
from edgeship.untrusted import damage_as_input_error, read_json

FILE = "contract.json"
KEY = "temperature"
LARGEST = 1e6


def write_contract(root: Path, text: str) -> None:
    """Write the contract into a bundle's draft."""
    with atomic_file(root / FILE) as draft:
        draft.write_text(text, encoding="utf-8")


def contract_text(content: Any) -> str:
    """The JSON of a contract as its file has it."""
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def fitted_temperatures(entry: ArtifactEntry) -> dict[str, float]:
    """The temperatures of an artifact by output, as far as there are some."""
    fitted = entry.temperature or {}
    return {name: item.value for name, item in fitted.items() if item.value is not None and 0 < item.value <= LARGEST}


def record_temperatures(root: Path, artifacts: Iterable[ArtifactEntry]) -> None:
    """Write the temperatures of artifacts into the contract in a bundle's draft, where it has one and they are others.

    Raises InputError where the contract is none.
    """
    path = root / FILE
    if not path.exists():
        return
    fitted = {entry.id: fitted_temperatures(entry) for entry in artifacts}
    content = read_json(path)
    with damage_as_input_error(path):
        before = contract_text(content)
        for artifact in content["artifacts"]:
            for output in artifact["outputs"]:
                output.pop(KEY, None)
                if found := fitted.get(artifact["id"], {}).get(output["output"]):
                    output[KEY] = found
        after = contract_text(content)
    if after != before:
        write_contract(root, after)
