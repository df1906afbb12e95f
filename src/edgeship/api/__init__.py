"""The Python API: what the command line does, as functions (`from edgeship import ship_model`).

Models are paths (`.keras`, `.h5`, SavedModel) or Keras models in memory, data is a path, `package.module:attribute` or a
mapping of arrays. Nothing is printed unless `progress=True`: then steps and notices go to standard error, as those of the
command line do. Nothing exits: what is wrong is raised as

- `InputError`: what was given cannot be used, a file, an option, a key, a model that a format cannot express;
- `CheckError`: a result is not what was asked for;
- `MissingDependencyError`: something optional is not installed, and the message says how it is;
- `ProcessError`: a process that was started crashed, hung or was killed;

all of them an `EdgeshipError`. A verdict is no error: it stands in the result.
Only the standard library is imported before a function is called.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from edgeship.api.artifacts import find_damage, inspect_model, open_session, summarize_contract
from edgeship.api.bundles import (
    benchmark_bundle,
    debug_bundle,
    judge_bundle,
    lacks_times,
    measures_accuracy,
    missing_artifacts,
    open_bundle,
    options_to_repeat,
    profile_bundle,
    report_bundle,
    verify_bundle,
)
from edgeship.api.channel import (
    change_rollout,
    describe_conditions,
    describe_experiment,
    pause_rollout,
    publish_bundle,
    read_channel,
    refresh_channel,
    roll_back_channel,
    rotate_keys,
)
from edgeship.api.demo import serve_channel_demo, serve_demo, write_channel_demo, write_demo
from edgeship.api.deploy import (
    export_ai_pack,
    generate_keys,
    render_bom,
    selftest_clients,
    sign_bundle,
    write_bom,
    write_clients,
)
from edgeship.api.files import check_outside_of_bundles, write_result
from edgeship.api.foreign_files import benchmark_files, is_model_file, judge_files
from edgeship.api.machine import (
    check_devices,
    diagnose,
    install_devices,
    install_runtime,
    list_devices,
    list_runtimes,
)
from edgeship.api.models import (
    convert_model,
    init_model,
    lock_bundle,
    optimize_model,
    rebuild_bundle,
    ship_model,
    train_model,
)
from edgeship.api.registry import (
    VersionDetails,
    add_version,
    compare_versions,
    export_version,
    find_registry_server,
    list_versions,
    paired_figure_texts,
    promote_version,
    render_difference,
    roll_back_version,
    search_versions,
    show_version,
    trace_lineage,
    write_registry_page,
)
from edgeship.api.results import (
    DeviceStatus,
    InitializedConfig,
    OptimizedModel,
    RuntimeStatus,
    TrainedModel,
    Verification,
)
from edgeship.api.trust import distrust_config, list_trusted_configs, trust_config
from edgeship.api.updates import FetchedModel, fetch_model, simulate_fleet, write_fleet_picture
from edgeship.errors import CheckError, EdgeshipError, InputError, MissingDependencyError, ProcessError

if TYPE_CHECKING:
    from edgeship.bundle.bundle import Bundle
    from edgeship.bundle.comparisons import LayerSensitivity
    from edgeship.bundle.manifest import Manifest
    from edgeship.bundle.receipt import Receipt
    from edgeship.bundle.verdict import GateResult
    from edgeship.client.rules import Channel
    from edgeship.deploy.channel.rollout import ChannelChange
    from edgeship.deploy.channel.upkeep import FolderStatus
    from edgeship.deploy.contract.summary import ContractLine
    from edgeship.deploy.fleet.model import FleetResult, ReachTime
    from edgeship.deploy.signing.claims import SignatureCheck
    from edgeship.model_registry.adding import Addition
    from edgeship.model_registry.difference import Difference
    from edgeship.model_registry.lineage import Lineage
    from edgeship.model_registry.luck import Luck
    from edgeship.model_registry.paired import PairedFigure
    from edgeship.model_registry.version import Promotion, Version
    from edgeship.pipeline.rebuild.rebuild import Rebuild
    from edgeship.runtimes.clients.selftests import ClientRun
    from edgeship.runtimes.session import Session

# Classes of what functions return, found when they are asked for: their modules import numpy.
RESULTS = {
    "Addition": "edgeship.model_registry.adding",
    "Difference": "edgeship.model_registry.difference",
    "Lineage": "edgeship.model_registry.lineage",
    "Luck": "edgeship.model_registry.luck",
    "PairedFigure": "edgeship.model_registry.paired",
    "Promotion": "edgeship.model_registry.version",
    "Version": "edgeship.model_registry.version",
    "Bundle": "edgeship.bundle.bundle",
    "Channel": "edgeship.client.rules",
    "ChannelChange": "edgeship.deploy.channel.rollout",
    "ContractLine": "edgeship.deploy.contract.summary",
    "ClientRun": "edgeship.runtimes.clients.selftests",
    "FleetResult": "edgeship.deploy.fleet.model",
    "FolderStatus": "edgeship.deploy.channel.upkeep",
    "GateResult": "edgeship.bundle.verdict",
    "LayerSensitivity": "edgeship.bundle.comparisons",
    "Manifest": "edgeship.bundle.manifest",
    "ReachTime": "edgeship.deploy.fleet.model",
    "Receipt": "edgeship.bundle.receipt",
    "Rebuild": "edgeship.pipeline.rebuild.rebuild",
    "Session": "edgeship.runtimes.session",
    "SignatureCheck": "edgeship.deploy.signing.claims",
}
__all__ = [
    "Addition",
    "Bundle",
    "Channel",
    "ChannelChange",
    "CheckError",
    "ClientRun",
    "ContractLine",
    "DeviceStatus",
    "Difference",
    "EdgeshipError",
    "FetchedModel",
    "FleetResult",
    "FolderStatus",
    "GateResult",
    "InitializedConfig",
    "InputError",
    "LayerSensitivity",
    "Lineage",
    "Luck",
    "Manifest",
    "MissingDependencyError",
    "OptimizedModel",
    "PairedFigure",
    "ProcessError",
    "Promotion",
    "ReachTime",
    "Rebuild",
    "Receipt",
    "RuntimeStatus",
    "Session",
    "SignatureCheck",
    "TrainedModel",
    "Verification",
    "Version",
    "VersionDetails",
    "add_version",
    "benchmark_bundle",
    "benchmark_files",
    "change_rollout",
    "check_devices",
    "check_outside_of_bundles",
    "compare_versions",
    "convert_model",
    "debug_bundle",
    "describe_conditions",
    "describe_experiment",
    "diagnose",
    "distrust_config",
    "export_ai_pack",
    "export_version",
    "fetch_model",
    "find_damage",
    "find_registry_server",
    "generate_keys",
    "init_model",
    "inspect_model",
    "install_devices",
    "install_runtime",
    "is_model_file",
    "judge_bundle",
    "judge_files",
    "lacks_times",
    "list_devices",
    "list_runtimes",
    "list_trusted_configs",
    "list_versions",
    "lock_bundle",
    "measures_accuracy",
    "missing_artifacts",
    "open_bundle",
    "open_session",
    "optimize_model",
    "options_to_repeat",
    "paired_figure_texts",
    "pause_rollout",
    "profile_bundle",
    "promote_version",
    "publish_bundle",
    "read_channel",
    "rebuild_bundle",
    "refresh_channel",
    "render_bom",
    "render_difference",
    "report_bundle",
    "roll_back_channel",
    "roll_back_version",
    "rotate_keys",
    "search_versions",
    "selftest_clients",
    "serve_channel_demo",
    "serve_demo",
    "ship_model",
    "show_version",
    "sign_bundle",
    "simulate_fleet",
    "summarize_contract",
    "trace_lineage",
    "train_model",
    "trust_config",
    "verify_bundle",
    "write_bom",
    "write_channel_demo",
    "write_clients",
    "write_demo",
    "write_fleet_picture",
    "write_registry_page",
    "write_result",
]


def __getattr__(name: str) -> object:
    if name not in RESULTS:
        raise AttributeError(f"module 'edgeship.api' has no attribute '{name}'")
    return getattr(import_module(RESULTS[name]), name)
