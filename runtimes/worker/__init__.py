"""The worker: a process that holds one runtime and one model, and answers `edgeship.processes.wire` messages on standard input.

It imports the standard library, numpy and one runtime, nothing else, so that the same files run in an environment of
their own, under an emulator or on a board (`edgeship.runtimes.worker_files`).

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
server     limit_ms, seconds, clients, arrays: sample  rate, limit_ms, clients, trials (rate, valid, p99_ms, n)
profile    arrays: a sample                            operators (name, kind, kernel, ms), total_ms, runs
=========  ==========================================  ==============================================================

A failure is answered with `{"error": {"type", "message"}}`.
"""
