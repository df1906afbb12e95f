"""Take a Keras model from the server to the device, and prove on the way that it is still the same model.

`from edgeship import ship_model`: the functions of `edgeship.api`, which is imported when the first of them is asked for.
"""

import sys

__version__ = "0.1.0"

# `python -m edgeship.cli` puts the working folder first on the path, where a stranger's model may lie beside a `numpy.py`;
# the command `edgeship` does not. While runpy looks for a module, argv[0] is "-m".
if sys.argv[:1] == ["-m"] and "edgeship.cli" in sys.orig_argv and not sys.flags.safe_path:
    del sys.path[0]

# Nothing of edgeship is imported here: devices get this file alone, with their worker.
TYPE_CHECKING = False  # type checkers take it for true
if TYPE_CHECKING:
    from edgeship.api import (
        Bundle,
        CheckError,
        EdgeshipError,
        GateResult,
        InputError,
        MissingDependencyError,
        ProcessError,
        Session,
        benchmark_bundle,
        benchmark_files,
        convert_model,
        debug_bundle,
        diagnose,
        init_model,
        inspect_model,
        judge_bundle,
        judge_files,
        list_devices,
        list_runtimes,
        open_bundle,
        open_session,
        optimize_model,
        profile_bundle,
        report_bundle,
        ship_model,
        train_model,
        train_on_data,
        verify_bundle,
    )

__all__ = [
    "Bundle",
    "CheckError",
    "EdgeshipError",
    "GateResult",
    "InputError",
    "MissingDependencyError",
    "ProcessError",
    "Session",
    "__version__",
    "benchmark_bundle",
    "benchmark_files",
    "convert_model",
    "debug_bundle",
    "diagnose",
    "init_model",
    "inspect_model",
    "judge_bundle",
    "judge_files",
    "list_devices",
    "list_runtimes",
    "open_bundle",
    "open_session",
    "optimize_model",
    "profile_bundle",
    "report_bundle",
    "ship_model",
    "train_model",
    "train_on_data",
    "verify_bundle",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'edgeship' has no attribute '{name}'")
    from edgeship import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
