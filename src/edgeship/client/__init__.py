"""The client of a channel: keeps a device on the version that the channel has for it. `from edgeship.client import Client`.

Of a device's packages it needs `tuf`, and a runtime for the self-test: LiteRT or ONNX Runtime. With `bsdiff4` it downloads
differences where the channel has some. docs/deploy/client.md

A `Counter` counts what the model answers, for reports: docs/monitoring/report.md. A `SampleStore` keeps inputs for an audit,
where the user agreed: docs/monitoring/audit.md
"""

from importlib import import_module

# Each name is imported when it is asked for: the process of a self-test needs none of them, and a device starts one for each
# version that it takes.
TYPE_CHECKING = False  # type checkers take it for true
if TYPE_CHECKING:
    from edgeship.client.client import Client
    from edgeship.client.outcome import ClientError, UpdateResult
    from edgeship.client.reports.counter import Counter
    from edgeship.client.samples.store import SampleStore

__all__ = ["Client", "ClientError", "Counter", "SampleStore", "UpdateResult"]
_MODULES = {
    "Client": "client",
    "ClientError": "outcome",
    "Counter": "reports.counter",
    "SampleStore": "samples.store",
    "UpdateResult": "outcome",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
