"""The protocol's own clients, in an environment that holds them: FILE of questions in, FILE of answers out.

`python foreign_clients.py kserve|triton|refusals URL GRPC_ADDRESS KEY IN.npz OUT.npz`: each picture alone, and all together, of
each version, over REST as JSON, over REST as binary tensors and over gRPC; or the statuses of calls that gRPC refuses.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import numpy as np

VERSIONS = ("1", "2", "3")


def questions(images: Any) -> list[Any]:
    return [*(images[at : at + 1] for at in range(len(images))), images]


async def ask_kserve(url: str, grpc: str, key: str, images: Any) -> dict[str, Any]:
    from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig

    answers = {}
    headers = {"Authorization": f"Bearer {key}"}
    rest = InferenceRESTClient(RESTConfig(protocol="v2", timeout=30))
    remote = InferenceGRPCClient(grpc, timeout=30)
    metadata = (("authorization", f"Bearer {key}"),)
    assert await rest.is_server_live(url)
    assert await rest.is_model_ready(url, "cnn", headers=headers)
    for version in VERSIONS:
        for number, image in enumerate(questions(images)):
            for way in ("json", "binary"):
                item = InferInput("image", list(image.shape), "FP32")
                item.set_data_from_numpy(image, binary_data=way == "binary")
                request = InferRequest("cnn", [item], "7", parameters={"binary_data_output": way == "binary"})
                path = f"cnn/versions/{version}"
                response = await rest.infer(url, request, model_name=path, headers=dict(headers))
                assert response.model_version in (version, None)
                answers[f"{version}/{way}/{number}"] = response.outputs[0].as_numpy()
            item = InferInput("image", list(image.shape), "FP32")
            item.set_data_from_numpy(image, binary_data=True)
            request = InferRequest("cnn", [item], "7", model_version=version)
            response = await remote.infer(request, headers=metadata)
            answers[f"{version}/grpc/{number}"] = response.outputs[0].as_numpy()
    return answers


def run_kserve(url: str, grpc: str, key: str, images: Any) -> dict[str, Any]:
    return asyncio.run(ask_kserve(url, grpc, key, images))


def ask_triton(url: str, grpc: str, key: str, images: Any) -> dict[str, Any]:
    import tritonclient.grpc as remote
    import tritonclient.http as rest

    answers = {}
    headers = {"Authorization": f"Bearer {key}"}
    client = rest.InferenceServerClient(url.removeprefix("http://"))
    metadata = {"authorization": f"Bearer {key}"}
    far = remote.InferenceServerClient(grpc)
    assert client.is_server_live(headers=headers) and client.is_server_ready(headers=headers)
    assert client.get_model_metadata("cnn", headers=headers)["inputs"][0]["shape"] == [-1, 8, 8, 1]
    assert far.is_server_live()
    assert list(far.get_model_metadata("cnn", headers=metadata).versions) == list(VERSIONS)
    for version in VERSIONS:
        assert client.is_model_ready("cnn", version, headers=headers)
        for number, image in enumerate(questions(images)):
            for way in ("json", "binary"):
                item = rest.InferInput("image", list(image.shape), "FP32")
                item.set_data_from_numpy(image, binary_data=way == "binary")
                wanted = [rest.InferRequestedOutput("probs", binary_data=way == "binary")]
                response = client.infer(
                    "cnn", [item], version, outputs=wanted, headers=dict(headers)
                )  # it writes there
                answers[f"{version}/{way}/{number}"] = response.as_numpy("probs")
            item = remote.InferInput("image", list(image.shape), "FP32")
            item.set_data_from_numpy(image)
            response = far.infer("cnn", [item], version, headers=metadata)
            answers[f"{version}/grpc/{number}"] = response.as_numpy("probs")
    return answers


def ask_wrongly(url: str, grpc: str, key: str, images: Any) -> dict[str, Any]:
    """The status of each call, by what is wrong with it."""
    from grpc import RpcError, insecure_channel
    from kserve.protocol.grpc import grpc_predict_v2_pb2 as messages
    from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

    stub = GRPCInferenceServiceStub(insecure_channel(grpc))
    tensor = messages.ModelInferRequest.InferInputTensor

    def request(**change: Any) -> Any:
        item = {"name": "image", "shape": [1, 8, 8, 1], "datatype": "FP32", **change.pop("tensor", {})}
        fields = {"model_name": "cnn", "raw_input_contents": [images[:1].tobytes()], **change}
        return messages.ModelInferRequest(inputs=[tensor(**item)], **fields)

    right = (("authorization", f"Bearer {key}"),)
    typed = messages.InferTensorContents(fp32_contents=images[:1].reshape(-1).tolist())
    calls = {
        "right": (stub.ModelInfer, request(), right),
        "typed contents": (stub.ModelInfer, request(tensor={"contents": typed}, raw_input_contents=[]), right),
        "no key": (stub.ModelInfer, request(), ()),
        "a wrong key": (stub.ModelInfer, request(), (("x-api-key", "wrong"),)),
        "live without a key": (stub.ServerLive, messages.ServerLiveRequest(), ()),
        "another model": (stub.ModelInfer, request(model_name="dog"), right),
        "another version": (stub.ModelInfer, request(model_version="9"), right),
        "a datatype": (stub.ModelInfer, request(tensor={"datatype": "FP8"}), right),
        "a shape": (stub.ModelInfer, request(tensor={"shape": [1, 64]}), right),
        "too few bytes": (stub.ModelInfer, request(raw_input_contents=[b"1234"]), right),
        "no contents": (stub.ModelInfer, request(raw_input_contents=[]), right),
        "too large": (stub.ModelInfer, request(raw_input_contents=[bytes(2 << 20)]), right),
        "unload": (stub.RepositoryModelUnload, messages.RepositoryModelUnloadRequest(model_name="cnn"), right),
    }
    statuses = {}
    for name, (call, message, metadata) in calls.items():
        try:
            call(message, metadata=metadata)
            statuses[name] = "OK"
        except RpcError as error:
            statuses[name] = error.code().name
    return statuses


def main() -> None:
    client, url, grpc, key, source, target = sys.argv[1:]
    images = np.load(source)["image"]
    ask = {"kserve": run_kserve, "triton": ask_triton, "refusals": ask_wrongly}[client]
    np.savez(target, **ask(url, grpc, key, images))


if __name__ == "__main__":
    main()
