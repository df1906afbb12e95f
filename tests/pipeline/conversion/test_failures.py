"""What is recorded of an artifact that could not be had."""

from __future__ import annotations

import pytest

from edgeship.errors import CheckError, InputError, MissingDependencyError, ProcessError
from edgeship.pipeline.conversion import failures
from edgeship.pipeline.step_queue import FunctionStep, Outcome, State
from edgeship.settings.variants import Variant

INT8, FLOAT16 = Variant("int8", quantize="static_w8a8"), Variant("float16", quantize="float16")


def test_layers_are_told_by_the_names_in_a_message() -> None:
    error = InputError("/cache/kind/x/model.tflite: tensor functional_2_1/unit_1/Rsqrt:0 becomes infinite or NaN")
    found = failures.describe_failure(error, INT8, "tflite", "calibrate", layers=("x", "unit", "kind"))
    assert found.artifact == "tflite/int8" and found.layers == ("unit",)
    assert found.reason == "tensor functional_2_1/unit_1/Rsqrt:0 becomes infinite or NaN"
    assert found.text.startswith(f"{found.reason} (layer 'unit'); try ")


def test_what_the_error_itself_knows_comes_first() -> None:
    error = CheckError("tflite/int8: operator a/unit/b is missing").about(["kind"])
    found = failures.describe_failure(error, INT8, "tflite", "check", layers=("unit", "kind"))
    assert found.layers == ("kind",) and found.reason == "operator a/unit/b is missing"


@pytest.mark.parametrize(
    ("variant", "form", "step", "has", "has_not"),
    [
        (INT8, "tflite", "quantize", ['io = "float32"', "auto"], ["--to", "static_w8a8"]),
        (INT8, "onnx", "quantize", ["auto"], ["io ="]),
        (INT8, "tflite", "check", ["dynamic_w8", "float16"], ["auto", "io ="]),  # too little of it is int8
        (Variant("mine", "auto", io="int8"), "tflite", "quantize", ['io = "float32"'], []),
        (Variant("mine", "auto"), "tflite", "quantize", ["dynamic_w8"], ["io ="]),  # the search has tried it
        (FLOAT16, "tfjs", "run", ["weight_only_w8"], ["auto", "io ="]),
        (INT8, "tflite", "convert", ["--to onnx,tfjs"], ["auto", "io ="]),
        (INT8, "tflite", "export", ["--to onnx,tfjs"], ["auto", "io ="]),
        (Variant("float32"), "tflite", "run", ["optional"], ["recipe", "--to"]),
    ],
)
def test_the_advice_fits_what_failed(variant, form, step, has, has_not) -> None:
    advice = failures.describe_failure(InputError("no"), variant, form, step, ["onnx", "tfjs"]).advice
    assert all(word in advice for word in [*has, f'optional = ["{form}/{variant.name}"] in [budget]'])
    assert not [word for word in has_not if word in advice]


def test_what_the_configuration_asks_wrongly_is_no_failure_of_an_artifact() -> None:
    assert failures.is_misconfigured(InputError("no grey picture"), "metadata")
    assert not failures.is_misconfigured(InputError("no"), "convert")
    assert not failures.is_misconfigured(CheckError("no"), "metadata")


def test_a_log_that_is_gone_is_not_told() -> None:
    error = ProcessError("the quantize process was killed by SIGSEGV; its log (/tmp/edgeship-x.log) ends with: nothing")
    assert "/tmp" not in failures.describe_failure(error, INT8, "tflite", "quantize").reason


def test_what_is_the_machines_is_no_failure_of_an_artifact() -> None:
    assert failures.is_of_variant(InputError("x")) and failures.is_of_variant(ProcessError("x"))
    assert not any(
        map(failures.is_of_variant, (MissingDependencyError("x"), KeyboardInterrupt(), OSError("full"), None))
    )


def test_the_step_is_that_which_failed_and_not_the_one_that_it_blocked() -> None:
    error = CheckError("x")
    step = FunctionStep(name="tflite/int8", executors=("quantize",), function=lambda _: None)
    outcomes = {
        "quantize tflite/int8": Outcome(State.BLOCKED, error=error),
        "tflite/int8": Outcome(State.FAILED, error=error),
    }
    assert failures.find_step(error, outcomes, {"tflite/int8": step}) == "check"


def test_where_nothing_can_be_had_every_format_says_why() -> None:
    errors = {
        "tflite/float32": InputError("TFLite cannot express AsString").about(["hashing"]),
        "tflite/float16": InputError("TFLite cannot express AsString").about(["hashing"]),
        "onnx/float32": InputError("ONNX cannot express Lookup").about(["lookup"]),
    }
    joined = failures.join_errors(errors)
    assert str(joined) == "TFLite cannot express AsString\nONNX cannot express Lookup"
    assert isinstance(joined, InputError) and joined.layers == ("hashing", "lookup")
    alone = failures.join_errors({"tflite/int8": ProcessError("RuntimeError in the litert process: no delegate")})
    assert str(alone).startswith("tflite/int8: RuntimeError") and isinstance(alone, ProcessError)
