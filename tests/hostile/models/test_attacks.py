"""Models of strangers: what they would run is refused before it runs, and what is damaged is a sentence."""

from __future__ import annotations

import subprocess
import sys

import pytest

from edgeship.processes.child import FunctionProcess
from tests.hostile.models.attacks import CHILD_PATH

ALLOW = "--allow-unsafe"
# What each model of attacks.py is refused with.
ATTACKS = {
    "h5_lambda_string": ("'act'", "Lambda", ALLOW),
    "h5_lambda_list": ("'act'", "Lambda", ALLOW),
    "h5_lambda_tuple": ("'act'", "Lambda", ALLOW),
    "h5_lambda_in_time_distributed": ("'dense'", "Lambda", ALLOW),
    "h5_lambda_in_nested_model": ("'inner'", "Lambda", ALLOW),
    "h5_lambda_output_shape": ("'act'", "Lambda", ALLOW),
    "h5_lambda_mask": ("'act'", "Lambda", ALLOW),
    "h5_lambda_keras3": ("'act'", "Lambda", ALLOW),
    "h5_residual_cell": ("Python code", ALLOW),
    "keras_piped_old": ("'act'", "pydoc.pipepager", ALLOW),
    "keras_piped_new": ("'act'", "pydoc.pipepager", ALLOW),
    "keras_activation": ("'evil'", "--custom-objects"),
    "keras_regularizer": ("'Evil'", "--custom-objects"),
    "keras_initializer": ("'Evil'", "--custom-objects"),
    "keras_constraint": ("'evil'", "--custom-objects"),
    "keras_in_bidirectional": ("'evil'", "--custom-objects"),
    "keras_layer_class": ("'Evil'", "--custom-objects"),
    "keras_package_name": ("'Evil'", "--custom-objects"),
    "keras_dtype_policy": ("'Evil'", "--custom-objects"),
    "keras_typespec": ("hostile_payload.Evil", ALLOW),
    "keras_bare_lambda": ("Lambda", ALLOW),
    "keras_function_in_builtins": ("builtins.exec", ALLOW),
    "keras_known_name_elsewhere": ("'relu'", "--custom-objects"),
    "keras_nested_compile_config": ("'Evil'", "--custom-objects"),
    "keras_build_config": ("'Evil'", "--custom-objects"),
    "keras_call_arguments": ("'Evil'", "--custom-objects"),
    "keras_get_file": ("keras.utils.get_file", ALLOW),
    "keras_load_model": ("keras.models.load_model", ALLOW),
    "keras_other_case": ("keras.layers.lambda", ALLOW),
    "keras_savedmodel_layer": ("TFSMLayer", "another model", ALLOW),
    "keras_torch_module": ("TorchModuleWrapper", "pickled", ALLOW),
    "keras_vocabulary": ("vocabulary file", "secret.txt", ALLOW),
    "h5_vocabulary": ("vocabulary file", "secret.txt", ALLOW),
    "h5_write_file": ("tf.io.write_file", ALLOW),
    "h5_remove_tree": ("tf.io.gfile.rmtree", ALLOW),
    "h5_print": ("tf.print", ALLOW),
    "h5_sampler_of_a_file": ("tf.random.fixed_unigram_candidate_sampler", ALLOW),
    "h5_raw_op": ("WriteFile", ALLOW),
    "h5_class_method": ("io.gfile.GFile.write", ALLOW),
    "h5_instance_property": ("__class__", ALLOW),
    "keras_value_of_a_module": ("tf_keras.src.layers.core.lambda_layer.TensorShape", ALLOW),
    "h5_value_of_a_module": ("tf_keras.src.layers.core.lambda_layer.__slice__", ALLOW),
    "keras_two_names": ("tf_keras.src.layers.core.tf_op_layer.LayerScale", ALLOW),
    "zip_two_configs": ("config.json", "twice"),
    "zip_case": ("Config.json", "twice"),
    "zip_traversal": ("does not stay inside",),
    "zip_absolute": ("does not stay inside",),
    "zip_link": ("assets/link", "a link"),
    "zip_bomb": ("unpacks to", "EDGESHIP_LIMITS"),
    "zip_many": ("10,000", "EDGESHIP_LIMITS"),
    "h5_external_link": ("model_weights/act", "link"),
    "h5_soft_link": ("model_weights/again", "link"),
    "h5_external_storage": ("model_weights/raw", "another file"),
    "h5_declared": ("model_weights/large", "declares", "EDGESHIP_LIMITS"),
    "keras_external_link": ("model.weights.h5", "elsewhere", "link"),
    "write_file": ("WriteFile", ALLOW),
    "read_file": ("ReadFile", ALLOW),
    "write_in_branch": ("WriteFile", ALLOW),
    "write_in_inner_function": ("WriteFile", ALLOW),
    "write_in_loop": ("WriteFile", ALLOW),
    "print_to_file": ("PrintV2", ALLOW),
    "save_weights": ("SaveV2", ALLOW),
    "restore_elsewhere": ("RestoreV2", ALLOW),
    "mlir_of_its_own": ("MlirPassthroughOp", ALLOW),
    "abort": ("Abort", ALLOW),
    "python_function": ("EagerPyFunc", ALLOW),
    "text_dataset": ("Dataset", ALLOW),
    "debug_url": ("DebugIdentity", ALLOW),
    "proto_descriptor": ("EncodeProto", ALLOW),
    "initializer": ("WriteFile", ALLOW),
    "asset_elsewhere": ("words.txt", "does not stay inside"),
    "table_of_a_constant": ("InitializeTableFromTextFileV2", "assets", ALLOW),
    "table_of_another_object": ("InitializeTableFromTextFileV2", "assets", ALLOW),
    "tf1_main_op": ("WriteFile", ALLOW),
    "tf1_legacy_init_op": ("WriteFile", ALLOW),
    "tf1_restore_op": ("WriteFile", ALLOW),
    "tf1_restore_elsewhere": ("RestoreV2", ALLOW),
    "tf1_save_as_init": ("SaveV2", ALLOW),
    "initializer_that_saves": ("Save", "files beside its own variables", ALLOW),
    "tf1_read_of_a_variable": ("Save", "files beside its own variables", ALLOW),
    "tf1_table_while_answering": ("InitializeTableFromTextFileV2", "assets", ALLOW),
    "saving_implementation": ("Save", "files beside its own variables", ALLOW),
    "tf1_save_behind_a_variable": ("Save", "files beside its own variables", ALLOW),
    "tf1_table_while_restoring": ("InitializeTableFromTextFileV2", "assets", ALLOW),
    "tf1_asset_of_another_output": ("InitializeTableFromTextFileV2", "assets", ALLOW),
    "tf1_checkpoint_of_another_output": ("RestoreV2", "files beside its own variables", ALLOW),
    "node_without_a_name": ("a node without a name",),
    "table_registered_otherwise": ("InitializeTableFromTextFileV2", "assets", ALLOW),
    "linked_variables": ("variables", "link"),
    "two_graphs": ("two graphs",),
}


@pytest.fixture(scope="module")
def attacker():
    with FunctionProcess(env={"PYTHONPATH": CHILD_PATH}) as process:
        yield process


@pytest.mark.parametrize("name", ATTACKS)
def test_nothing_of_a_model_runs(name, attacker, tmp_path):
    outcome = attacker.call("tests.hostile.models.attacks:attack", name=name, folder=str(tmp_path))
    assert not outcome["ran"]
    assert outcome["kind"] == "refused", outcome
    missing = [word for word in ATTACKS[name] if word not in outcome["error"]]
    assert not missing, outcome["error"]
    assert "\n" not in outcome["error"] and len(outcome["error"]) < 500, outcome["error"]


# Two rows of the issue as a user meets them.
@pytest.mark.parametrize("name", ["h5_lambda_string", "tf1_main_op"])
def test_the_command_line_refuses_it(name, attacker, tmp_path):
    attacker.call("tests.hostile.models.attacks:attack", name=name, folder=str(tmp_path))
    model = next(path for path in tmp_path.iterdir() if path.name in ("model.h5", "tf1"))
    (tmp_path / "canary").unlink(missing_ok=True)
    command = [sys.executable, "-m", "edgeship.cli", "init", str(model)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert ALLOW in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "canary").exists()


# Permission is what the words say: with it, the same files do run.
@pytest.mark.parametrize("name", ["h5_lambda_list", "write_file", "tf1_main_op"])
def test_allowed_models_run(name, attacker, tmp_path):
    outcome = attacker.call("tests.hostile.models.attacks:attack", name=name, folder=str(tmp_path), allow_unsafe=True)
    assert outcome["ran"], outcome


def test_a_table_of_an_asset_is_honest(attacker, tmp_path):
    assert attacker.call("tests.hostile.models.saved_model_attacks:honest_table", folder=str(tmp_path))["error"] == ""


def test_two_savers_are_honest(attacker, tmp_path):
    assert attacker.call("tests.hostile.models.tf1_attacks:honest_two_savers", folder=str(tmp_path))["error"] == ""


HONEST = {
    "h5_plain": "honest_layers",
    "h5_registered": "honest_layers",
    "h5_of_keras3": "honest_layers",
    "keras2_plain": "honest_layers",
    "keras3_plain": "honest_layers",
    "keras3_function": "honest_layers",
    "keras3_imported_operation": "honest_layers",
    "h5_lambda_of_a_function": "honest_layers",
    "h5_functions": None,
    "keras2_functions": None,
    "keras3_operations": None,
    "keras3_compiled": None,
    "keras3_beside_its_layers": None,
    "keras3_optimizers": None,
    "keras3_vocabulary": None,
    "names_of_any_characters": None,
    "dotted_names": None,
}


@pytest.mark.parametrize("name", HONEST)
def test_honest_models_load(name, attacker, tmp_path):
    options = {"custom_objects": HONEST[name]} if HONEST[name] else {}
    outcome = attacker.call("tests.hostile.models.honest_models:honest", name=name, folder=str(tmp_path), **options)
    assert outcome["error"] == ""


@pytest.mark.parametrize("name", ["rmtree", "get_file"])
def test_what_a_users_module_imports_is_not_for_models(name, attacker, tmp_path):
    options = {"custom_objects": "honest_layers"}
    outcome = attacker.call("tests.hostile.models.honest_models:honest", name=name, folder=str(tmp_path), **options)
    assert f"'{name}' is not part of Keras" in outcome["error"]


def test_what_one_keras_knows_the_other_does_not(attacker, tmp_path):
    options = {"custom_objects": "honest_layers"}
    outcome = attacker.call(
        "tests.hostile.models.attacks:attack", name="keras_of_the_other", folder=str(tmp_path), **options
    )
    assert not outcome["ran"]
    assert "'Registered3' is not part of Keras" in outcome["error"]


def test_an_operation_by_name_is_found_in_keras_ops(attacker, tmp_path):
    """Keras itself cannot read what it writes here: which function of that name it was the file does not say."""
    options = {"name": "keras3_imported_operation", "folder": str(tmp_path)}
    assert (
        "'sin' is not part of Keras" in attacker.call("tests.hostile.models.honest_models:honest", **options)["error"]
    )
    assert (
        attacker.call("tests.hostile.models.honest_models:honest", custom_objects="keras.ops", **options)["error"] == ""
    )


# Whoever raises the version of Keras looks at what is new and puts it into the one list or the other.
def test_names_of_the_keras_in_use(attacker):
    unknown = attacker.call("tests.hostile.models.honest_models:unknown_names")
    assert unknown["classes"] == [
        *("BaseRandomLayer", "BatchNormalizationBase", "DenseFeatures", "DropoutWrapper", "FlaxLayer", "JaxLayer"),
        *("Lambda", "Layer", "LinearModel", "Reduction", "ResidualWrapper", "SequenceFeatures", "TFSMLayer"),
        *("TorchModuleWrapper", "WideDeepModel", "_RNNCellWrapper"),
    ]
    assert unknown["functions"] == ["deserialize", "get", "serialize"]
    assert unknown["builtins"] == []
    assert unknown["operations"] == ["Mish"]  # no model can hold it: Keras calls it on values only
