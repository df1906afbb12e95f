"""Where the tiny models lie in each format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgeship.formats import formats

Locate = Callable[[str, str], Path]


@pytest.fixture(scope="session")
def tiny_model(tiny_models: Path) -> Locate:
    """The tiny model of a name in a format; a folder's is called `cnn-tfjs`, a file's `cnn.onnx`."""

    def locate(name: str, artifact_format: str) -> Path:
        found = formats.ALL.get(artifact_format)  # a server model's is none
        return tiny_models / f"{name}{'-' if found and found.is_folder else '.'}{artifact_format}"

    return locate
