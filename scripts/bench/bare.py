"""The bare side of `make bench`: what the converters and interpreters do when they are called by hand, in one process."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.update(TF_CPP_MIN_LOG_LEVEL="2", CUDA_VISIBLE_DEVICES="-1")
START = time.perf_counter()


def prepare(model: str, data: str) -> None:
    """MobileNetV2-224 with random weights, and 100 random pictures: enough to take times on."""
    import keras
    import numpy as np

    keras.utils.set_random_seed(0)
    keras.applications.MobileNetV2(weights=None).save(model)
    np.savez(data, x=np.random.default_rng(0).random((100, 224, 224, 3), np.float32))


def convert(model: str, data: str, out: str) -> None:
    """Each converter's own call, one after the other; prints the seconds of each."""
    import keras
    import numpy as np
    import onnxruntime.quantization  # noqa: F401
    import tensorflow  # noqa: F401
    import tf2onnx  # noqa: F401

    from edgeship.convert.tfjs import shim

    shim.ensure_importable()
    from tensorflowjs.converters import tf_saved_model_conversion_v2 as tfjs

    seconds = {"imports": time.perf_counter() - START}
    folder = Path(out)
    folder.mkdir(parents=True)
    images, saved = np.load(data)["x"], str(folder / "saved_model")
    start = time.perf_counter()
    loaded = keras.models.load_model(model)
    seconds["load"] = time.perf_counter() - start
    jobs: dict[str, Callable[[], Any]] = {
        "export": lambda: loaded.export(saved, verbose=False),
        "TFLite float32": lambda: _tflite(saved, folder / "float32.tflite", None),
        "TFLite int8": lambda: _tflite(saved, folder / "int8.tflite", images),
        "ONNX float32": lambda: _onnx(loaded, folder / "float32.onnx"),
        "ONNX int8": lambda: _onnx_int8(folder, images),
        "TF.js float32": lambda: tfjs.convert_tf_saved_model(saved, str(folder / "tfjs")),
        "TF.js uint8": lambda: tfjs.convert_tf_saved_model(
            saved, str(folder / "tfjs8"), quantization_dtype_map={"uint8": "*"}
        ),
    }
    for name, job in jobs.items():
        start = time.perf_counter()
        job()
        seconds[name] = time.perf_counter() - start
    print(json.dumps(seconds))


def _tflite(saved: str, out: Path, images: Any) -> None:
    """Full int8 with images to calibrate on, float32 without."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(saved)
    if images is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([image[None]] for image in images)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    out.write_bytes(converter.convert())


def _onnx(loaded: Any, out: Path) -> None:
    import tensorflow as tf
    import tf2onnx

    signature = [tf.TensorSpec((None, 224, 224, 3), tf.float32, name="x")]
    function = tf.function(lambda x: loaded(x, training=False))
    tf2onnx.convert.from_function(function, signature, opset=17, output_path=str(out))


def _onnx_int8(folder: Path, images: Any) -> None:
    import onnxruntime.quantization as ort_quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(ort_quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.feeds: Iterator[Any] = iter({"x": image[None]} for image in images)

        def get_next(self) -> Any:
            return next(self.feeds, None)

    quant_pre_process(str(folder / "float32.onnx"), str(folder / "prepared.onnx"))
    ort_quantization.quantize_static(
        str(folder / "prepared.onnx"),
        str(folder / "int8.onnx"),
        Reader(),
        per_channel=True,
        activation_type=ort_quantization.QuantType.QInt8,
    )


def small(model: str, data: str) -> None:
    """A small image classifier with random weights, and data to calibrate it with."""
    import keras
    import numpy as np

    keras.utils.set_random_seed(0)
    layers = keras.layers
    blocks = [
        layer
        for width in (16, 32, 64)
        for layer in (layers.Conv2D(width, 3, padding="same", activation="relu"), layers.MaxPool2D())
    ]
    keras.Sequential(
        [keras.Input((28, 28, 1)), *blocks, layers.Flatten(), layers.Dense(10, activation="softmax")]
    ).save(model)
    np.savez(data, x=np.random.default_rng(0).random((100, 28, 28, 1), np.float32))


def throughput(path: str, rounds: str) -> None:
    """A session's `evaluate` and a bare loop over the same interpreter, in turn, batch 128, all cores."""
    import numpy as np

    from edgeship.runtimes.session import open_session

    images = np.random.default_rng(0).random((10_000, 28, 28, 1), np.float32)
    batch, threads = 128, os.cpu_count() or 1
    found: dict[str, list[float]] = {"session": [], "bare": []}
    for _ in range(int(rounds)):
        found["bare"].append(_bare_rate(path, images, batch, threads))
        with open_session("litert", Path(path), threads=threads) as session:
            name = session.inputs[0].name
            start = time.perf_counter()
            session.evaluate(({name: images[i : i + batch]} for i in range(0, len(images), batch)), batch)
            found["session"].append(len(images) / (time.perf_counter() - start))
    print(json.dumps(found))


def _bare_rate(path: str, images: Any, batch: int, threads: int) -> float:
    """Samples per second of the plainest loop: set the input, invoke, fetch the output; quantized beforehand."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(path, num_threads=threads)
    given, made = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    scale, zero_point = given["quantization"]
    ready = images if not scale else (images / scale + zero_point).round().clip(-128, 127).astype(given["dtype"])
    start, size = time.perf_counter(), 0
    for first in range(0, len(ready), batch):
        part = ready[first : first + batch]
        if len(part) != size:
            size = len(part)
            interpreter.resize_tensor_input(given["index"], part.shape)
            interpreter.allocate_tensors()
        interpreter.set_tensor(given["index"], part)
        interpreter.invoke()
        interpreter.get_tensor(made["index"])
    return len(ready) / (time.perf_counter() - start)


def unfolded(model: str, out: str) -> None:
    """A model as TF.js with its batch normalization left beside the depthwise convolutions."""
    from edgeship.convert.export import export
    from edgeship.convert.tfjs import convert as tfjs
    from edgeship.convert.tfjs import fold_batch_norm

    fold_batch_norm.fold_graph = lambda graph: []
    export.run(model, f"{out}-export")
    tfjs.run(f"{out}-export", out)


if __name__ == "__main__":
    parts: dict[str, Callable[..., None]] = {
        "prepare": prepare,
        "unfolded": unfolded,
        "convert": convert,
        "small": small,
        "throughput": throughput,
    }
    parts[sys.argv[1]](*sys.argv[2:])
