"""The arena of tflite-micro, with an interpreter that complains as the real one does (the real one: test_installed.py)."""

import importlib
import importlib.metadata
import os
import sys
import types

import pytest


@pytest.fixture
def micro(monkeypatch):
    """The worker's module on a stand-in for the package, whose interpreters need `needed` bytes or say `message`."""
    asked = []

    class Interpreter:
        needed, message = 100_000, ""

        @classmethod
        def from_bytes(cls, content, arena_size):
            asked.append(arena_size)
            if arena_size < cls.needed:
                os.write(2, f"{cls.message}\n".encode())
                raise RuntimeError("TFLM failed to allocate tensors")
            return cls()

        def print_allocations(self):
            os.write(2, b"[RecordingMicroAllocator] Arena allocation total 90000 bytes\n")

    runtime = types.ModuleType("tflite_micro.runtime")
    monkeypatch.setattr(runtime, "Interpreter", Interpreter, raising=False)
    package = types.ModuleType("tflite_micro")
    monkeypatch.setattr(package, "runtime", runtime, raising=False)
    schema = "tflite_micro.tensorflow.lite.micro.python.schema_py_generated"
    monkeypatch.setitem(sys.modules, "tflite_micro", package)
    monkeypatch.setitem(sys.modules, schema, types.ModuleType(schema))
    version = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0" if name == "tflite-micro" else version(name))
    monkeypatch.delitem(sys.modules, "edgeship.runtimes.engines.tflite_micro", raising=False)
    module = importlib.import_module("edgeship.runtimes.engines.tflite_micro")
    monkeypatch.setattr(module, "_tensor_names", lambda _: ([], []))
    monkeypatch.setattr(module, "fake", Interpreter, raising=False)
    monkeypatch.setattr(module, "asked", asked, raising=False)
    yield module
    del sys.modules["edgeship.runtimes.engines.tflite_micro"]


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(b"model")
    return str(path)


def test_the_arena_that_a_model_needs_is_told(micro, model):
    assert micro.TFLiteMicroBackend().load(model, 1, {}).engine == {"threads": 1, "arena_total_bytes": 90000}
    assert micro.asked == [micro.ARENA], "a smaller one crashed the real interpreter"


def test_what_it_cannot_do_is_told(micro, model):
    micro.fake.needed, micro.fake.message = micro.ARENA + 1, "Hybrid models are not supported on TFLite Micro."
    with pytest.raises(RuntimeError, match=r"Hybrid models are not supported .*TFLM failed to allocate tensors"):
        micro.TFLiteMicroBackend().load(model, 1, {})
