"""The server's own figures, beside KServe's, for Prometheus (`/metrics`)."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

MODEL = ["model_name"]
SAMPLES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
BATCH_SAMPLES = Histogram("edgeship_batch_samples", "samples that were answered in one go", MODEL, buckets=SAMPLES)
QUEUED = Gauge("edgeship_queued_requests", "requests that wait for a model", MODEL)
CACHE = Counter("edgeship_cache_requests", "answers looked for in the cache", [*MODEL, "result"])
REFUSED = Counter("edgeship_refused_requests", "requests that were refused, by HTTP status", ["status"])
RELOADS = Counter("edgeship_reloads", "models read again", ["result"])
LOADED = Gauge("edgeship_loaded_models", "versions of models that are served")
JOBS = Counter("edgeship_jobs", "asynchronous jobs that ended", ["state"])
