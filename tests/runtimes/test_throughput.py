"""A worker process must cost little: evaluation against a bare loop over the same interpreter with the same batches."""

import time

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from edgeship.runtimes import tensors
from edgeship.runtimes.session import open_session

SAMPLES, BATCH, SHAPE = 10_000, 250, (28, 28, 1)
BAR = 0.8
# Rates are compared at their best: a busy machine spoils some rounds of either, and some more rounds then settle it.
ROUNDS = (3, 25)


def _bare(path: str, threads: int, images: np.ndarray) -> tuple[np.ndarray, float]:
    interpreter = Interpreter(path, num_threads=threads)
    input_index, output = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    interpreter.resize_tensor_input(input_index, (BATCH, *SHAPE))
    interpreter.allocate_tensors()
    outputs = []
    start = time.perf_counter()
    for at in range(0, SAMPLES, BATCH):
        interpreter.set_tensor(input_index, images[at : at + BATCH])
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(output))
    return np.concatenate(outputs), SAMPLES / (time.perf_counter() - start)


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("variant", ["large", "large-int8"])
def test_evaluation_reaches_most_of_the_throughput_of_a_bare_loop(variant, threads, tiny_models):
    path = tiny_models / f"{variant}.tflite"
    images = np.random.default_rng(0).random((SAMPLES, *SHAPE), np.float32)
    ours, bare = 0.0, 0.0
    with open_session("litert", path, threads=threads) as session:
        spec = session.inputs[0]
        ready = tensors.quantize(images, spec.quantization, spec.dtype) if spec.quantization else images
        for done in range(ROUNDS[1]):
            expected, rate = _bare(str(path), threads, ready)
            bare = max(bare, rate)
            start = time.perf_counter()
            pieces = ({"image": images[at : at + BATCH]} for at in range(0, SAMPLES, BATCH))
            outputs = session.evaluate(pieces, BATCH)
            ours = max(ours, SAMPLES / (time.perf_counter() - start))
            if done + 1 >= ROUNDS[0] and ours >= BAR * bare:
                break
        output = session.outputs[0]
    assert ours >= BAR * bare, f"{ours:.0f} samples/s against {bare:.0f}"
    real = expected if output.quantization is None else tensors.dequantize(expected, output.quantization)
    np.testing.assert_array_equal(outputs[output.name], real)
