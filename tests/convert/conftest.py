from __future__ import annotations

from pathlib import Path

import pytest

from edgeship.processes.child import FunctionProcess

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def tensorflow():
    """One child for the whole session: TensorFlow is imported once. It finds `zoo` and `zoo_layers` beside the tests."""
    with FunctionProcess("tensorflow", env={"PYTHONPATH": str(HERE)}) as process:
        yield process


@pytest.fixture(scope="session")
def zoo(tensorflow, tmp_path_factory):
    """`zoo(name)` is the path of that model, built once."""
    folder, models = tmp_path_factory.mktemp("zoo"), {}

    def path(name):
        if name not in models:
            models[name] = tensorflow.call("zoo:build", name=name, folder=str(folder))
        return models[name]

    return path
