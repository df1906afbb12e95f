"""The worker: a process that holds one runtime and one model, and answers `edgeship.processes.wire` messages on standard input.

It imports the standard library, numpy and one runtime, nothing else, so that the same files run in an environment of
their own, under an emulator or on a board. `FILES` is all it needs there.

Requests (`do`), each answered once and in order; arrays travel with the message, always under the artifact's own names
and dtypes (quantization is the session's business):

=========  ==========================================  ==============================================================
`do`       fields                                      answer
=========  ==========================================  ==============================================================
load       path, threads, options                      load_ms, inputs, outputs (TensorSpec JSON), engine, version
run        arrays: a batch per input                   arrays: a batch per output
first      arrays: one sample per input                first_ms, then as run
memory                                                 peak_bytes, baseline_bytes, method
latency    min_seconds, min_queries, arrays: a sample  valid, early_stopping_p90_ms, engine, reason; arrays: samples_ms
count      inferences, arrays: a sample                marks for an emulator that counts instructions
block      seconds, arrays: a sample                   arrays: samples_ms
=========  ==========================================  ==============================================================

A failure is answered with `{"error": {"type", "message"}}`.
"""

FILES = (
    "__init__.py",
    "errors.py",
    "processes/__init__.py",
    "processes/child.py",
    "processes/environment.py",
    "processes/wire.py",
    "runtimes/__init__.py",
    "runtimes/worker/__init__.py",
    "runtimes/worker/__main__.py",
    "runtimes/worker/batching.py",
    "runtimes/worker/instruction_marks.py",
    "runtimes/worker/latency.py",
    "runtimes/worker/loadgen.py",
    "runtimes/worker/memory.py",
    "runtimes/worker/tflite_micro.py",
    "runtimes/worker/interface.py",
    "runtimes/worker/onnxruntime.py",
    "runtimes/worker/request_loop.py",
    "runtimes/worker/litert.py",
)
