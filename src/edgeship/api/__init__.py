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

if TYPE_CHECKING:
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
    from edgeship.api.learning.labels import check_labels, open_labelling, select_samples
    from edgeship.api.learning.retraining import describe_retraining, retrain_champion
    from edgeship.api.learning.streaming import describe_stream, stream_rows
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
    from edgeship.api.monitoring.drift import (
        describe_drift,
        describe_field,
        draw_audit,
        judge_audit,
        judge_drift,
        judge_drift_by_version,
        report_field,
    )
    from edgeship.api.monitoring.experiments import (
        ExperimentStatus,
        PlannedExperiment,
        analyse_experiment,
        analyse_shadow,
        plan_experiment,
        read_experiment,
        simulate_region_split,
        start_experiment,
        stop_experiment,
    )
    from edgeship.api.monitoring.inbox import (
        count_reports,
        export_reports,
        ingest_reports,
        open_collector,
        read_reports,
    )
    from edgeship.api.own_data.checks import DataCheck, check_data
    from edgeship.api.own_data.training import train_on_data
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
        OwnDataModel,
        RuntimeStatus,
        TrainedModel,
        Verification,
    )
    from edgeship.api.serving.batch import predict_batch
    from edgeship.api.serving.server import open_server
    from edgeship.api.serving.worth import compare_with_server, describe_worth, write_worth_page
    from edgeship.api.teaching import Teaching, teach_bundle
    from edgeship.api.trust import distrust_config, list_trusted_configs, trust_config
    from edgeship.api.updates import FetchedModel, fetch_model, simulate_fleet, write_fleet_picture
    from edgeship.bundle.bundle import Bundle
    from edgeship.bundle.figures.comparisons import LayerSensitivity
    from edgeship.bundle.manifest import Manifest
    from edgeship.bundle.receipt import Receipt
    from edgeship.bundle.verdict import GateResult
    from edgeship.client.rules import Channel
    from edgeship.deploy.channel.rollout import ChannelChange
    from edgeship.deploy.channel.upkeep import FolderStatus
    from edgeship.deploy.contract.summary import ContractLine
    from edgeship.deploy.fleet.model import FleetResult, ReachTime
    from edgeship.deploy.signing.claims import SignatureCheck
    from edgeship.errors import CheckError, EdgeshipError, InputError, MissingDependencyError, ProcessError
    from edgeship.learning.labels.check import LabelCheck
    from edgeship.learning.labels.label_server import LabelServer
    from edgeship.learning.labels.select import Selection
    from edgeship.learning.retraining.results import RetrainResult
    from edgeship.learning.stream.results import StreamResult
    from edgeship.model_registry.adding import Addition
    from edgeship.model_registry.difference import Difference
    from edgeship.model_registry.lineage import Lineage
    from edgeship.model_registry.luck import Luck
    from edgeship.model_registry.paired import PairedFigure
    from edgeship.model_registry.version import Promotion, Version
    from edgeship.monitoring.drift.audit import AuditResult, DrawnAudit
    from edgeship.monitoring.drift.field_report import FieldReport
    from edgeship.monitoring.drift.results import DriftResult, NamedDrift
    from edgeship.monitoring.drift.tables import Section
    from edgeship.monitoring.experiments.region import RegionSplit
    from edgeship.monitoring.experiments.shadow import ShadowResult
    from edgeship.monitoring.experiments.verdicts.results import ExperimentResult, LookResult
    from edgeship.monitoring.inbox.collector.server import Collector
    from edgeship.monitoring.inbox.inbox import InboxCounts, StoredReport
    from edgeship.monitoring.inbox.ingest import Ingested
    from edgeship.pipeline.rebuild.rebuild import Rebuild
    from edgeship.runtimes.clients.selftests import ClientRun
    from edgeship.runtimes.session import Session
    from edgeship.serving.batch.run import BatchRun
    from edgeship.serving.rest.process import Server
    from edgeship.serving.worth.result import Worth

# Where each name is found when it is asked for: a command imports the part of the API that it calls.
NAMES = {
    "edgeship.api.artifacts": "find_damage inspect_model open_session summarize_contract",
    "edgeship.api.bundles": "benchmark_bundle debug_bundle judge_bundle lacks_times measures_accuracy missing_artifacts open_bundle options_to_repeat profile_bundle report_bundle verify_bundle",
    "edgeship.api.channel": "change_rollout describe_conditions describe_experiment pause_rollout publish_bundle read_channel refresh_channel roll_back_channel rotate_keys",
    "edgeship.api.own_data.checks": "DataCheck check_data",
    "edgeship.api.demo": "serve_channel_demo serve_demo write_channel_demo write_demo",
    "edgeship.api.deploy": "export_ai_pack generate_keys render_bom selftest_clients sign_bundle write_bom write_clients",
    "edgeship.api.files": "check_outside_of_bundles write_result",
    "edgeship.api.foreign_files": "benchmark_files is_model_file judge_files",
    "edgeship.api.learning.labels": "check_labels open_labelling select_samples",
    "edgeship.api.learning.retraining": "describe_retraining retrain_champion",
    "edgeship.api.learning.streaming": "describe_stream stream_rows",
    "edgeship.api.machine": "check_devices diagnose install_devices install_runtime list_devices list_runtimes",
    "edgeship.api.models": "convert_model init_model lock_bundle optimize_model rebuild_bundle ship_model train_model",
    "edgeship.api.monitoring.drift": "describe_drift describe_field draw_audit judge_audit judge_drift judge_drift_by_version report_field",
    "edgeship.api.monitoring.experiments": "ExperimentStatus PlannedExperiment analyse_experiment analyse_shadow plan_experiment read_experiment simulate_region_split start_experiment stop_experiment",
    "edgeship.api.monitoring.inbox": "count_reports export_reports ingest_reports open_collector read_reports",
    "edgeship.api.own_data.training": "train_on_data",
    "edgeship.api.registry": "VersionDetails add_version compare_versions export_version find_registry_server list_versions paired_figure_texts promote_version render_difference roll_back_version search_versions show_version trace_lineage write_registry_page",
    "edgeship.api.results": "DeviceStatus InitializedConfig OptimizedModel OwnDataModel RuntimeStatus TrainedModel Verification",
    "edgeship.api.serving.batch": "predict_batch",
    "edgeship.api.serving.server": "open_server",
    "edgeship.api.serving.worth": "compare_with_server describe_worth write_worth_page",
    "edgeship.api.teaching": "Teaching teach_bundle",
    "edgeship.api.trust": "distrust_config list_trusted_configs trust_config",
    "edgeship.api.updates": "FetchedModel fetch_model simulate_fleet write_fleet_picture",
    "edgeship.bundle.bundle": "Bundle",
    "edgeship.bundle.figures.comparisons": "LayerSensitivity",
    "edgeship.bundle.manifest": "Manifest",
    "edgeship.bundle.receipt": "Receipt",
    "edgeship.bundle.verdict": "GateResult",
    "edgeship.client.rules": "Channel",
    "edgeship.deploy.channel.rollout": "ChannelChange",
    "edgeship.deploy.channel.upkeep": "FolderStatus",
    "edgeship.deploy.contract.summary": "ContractLine",
    "edgeship.deploy.fleet.model": "FleetResult ReachTime",
    "edgeship.deploy.signing.claims": "SignatureCheck",
    "edgeship.errors": "CheckError EdgeshipError InputError MissingDependencyError ProcessError",
    "edgeship.learning.labels.check": "LabelCheck",
    "edgeship.learning.labels.label_server": "LabelServer",
    "edgeship.learning.labels.select": "Selection",
    "edgeship.learning.retraining.results": "RetrainResult",
    "edgeship.learning.stream.results": "StreamResult",
    "edgeship.model_registry.adding": "Addition",
    "edgeship.model_registry.difference": "Difference",
    "edgeship.model_registry.lineage": "Lineage",
    "edgeship.model_registry.luck": "Luck",
    "edgeship.model_registry.paired": "PairedFigure",
    "edgeship.model_registry.version": "Promotion Version",
    "edgeship.monitoring.drift.audit": "AuditResult DrawnAudit",
    "edgeship.monitoring.drift.field_report": "FieldReport",
    "edgeship.monitoring.drift.results": "DriftResult NamedDrift",
    "edgeship.monitoring.drift.tables": "Section",
    "edgeship.monitoring.experiments.region": "RegionSplit",
    "edgeship.monitoring.experiments.shadow": "ShadowResult",
    "edgeship.monitoring.experiments.verdicts.results": "ExperimentResult LookResult",
    "edgeship.monitoring.inbox.collector.server": "Collector",
    "edgeship.monitoring.inbox.inbox": "InboxCounts StoredReport",
    "edgeship.monitoring.inbox.ingest": "Ingested",
    "edgeship.pipeline.rebuild.rebuild": "Rebuild",
    "edgeship.runtimes.clients.selftests": "ClientRun",
    "edgeship.runtimes.session": "Session",
    "edgeship.serving.batch.run": "BatchRun",
    "edgeship.serving.rest.process": "Server",
    "edgeship.serving.worth.result": "Worth",
}
MODULES = {name: module for module, names in NAMES.items() for name in names.split()}
__all__ = [*MODULES]


def __getattr__(name: str) -> object:
    if name not in MODULES:
        raise AttributeError(f"module 'edgeship.api' has no attribute '{name}'")
    return getattr(import_module(MODULES[name]), name)
