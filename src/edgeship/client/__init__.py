"""The client of a channel: keeps a device on the version that the channel has for it. `from edgeship.client import Client`.

Of a device's packages it needs `tuf`, and a runtime for the self-test: LiteRT or ONNX Runtime. With `bsdiff4` it downloads
differences where the channel has some. docs/deploy/client.md

A `Counter` counts what the model answers, for reports: docs/monitoring/report.md. A `SampleStore` keeps inputs for an audit,
where the user agreed: docs/monitoring/audit.md
"""

from edgeship.client.client import Client
from edgeship.client.outcome import ClientError, UpdateResult
from edgeship.client.reports.counter import Counter
from edgeship.client.samples.store import SampleStore

__all__ = ["Client", "ClientError", "Counter", "SampleStore", "UpdateResult"]
