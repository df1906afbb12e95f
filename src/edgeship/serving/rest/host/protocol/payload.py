"""Tensors of the Open Inference Protocol v2: bodies of REST requests and answers, and arrays of either protocol.

A number that its datatype does not hold, a text in place of a number, a list that does not fill its shape are refused: nothing
is cast in silence. Float32 survives JSON to the bit (shortest decimal form); NaN and infinities have no JSON, and become null
there: ask for binary outputs where they matter.
"""

from __future__ import annotations

import base64
import binascii
import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson
from kserve import InferInput, InferRequest, InferResponse
from kserve.protocol.infer_type import RequestedOutput

from edgeship.data import Array
from edgeship.errors import InputError

DTYPES = {
    "BOOL": "bool",
    **{f"{kind.upper()}{bits}": f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": f"float{bits}" for bits in (16, 32, 64)},
}
DATATYPES = {name: datatype for datatype, name in DTYPES.items()}
KINDS = {"b": "b", "i": "iu", "u": "iu", "f": "iuf"}  # numpy kinds that JSON may give for each
MOST_AXES = 16
BINARY_SIZE = "binary_data_size"
BINARY = "application/octet-stream"  # the media type of JSON with tensors behind it
LENGTH = "inference-header-content-length"  # the header that tells the length of the JSON then


def read_request(body: bytes, header_length: str | None, model: str) -> InferRequest:
    """A REST body, JSON with binary tensors behind it perhaps. Raises InputError for what is no request of the protocol."""
    size = len(body)
    if header_length is not None:
        if not header_length.isdecimal() or int(header_length) > len(body):
            raise InputError(
                f"Inference-Header-Content-Length: {header_length[:20]!r} is not within the body's {len(body)}"
            )
        size = int(header_length)
    try:
        content = orjson.loads(memoryview(body)[:size])
    except orjson.JSONDecodeError as error:
        raise InputError(f"the body is no JSON ({str(error)[:100]})") from error
    content = _object(content, "the body")
    inputs, start = [], size
    for item in _list(content.get("inputs"), "inputs"):
        tensor = _read_input(_object(item, "an input"))
        length = (tensor.parameters or {}).get(BINARY_SIZE)
        if length is not None:
            if type(length) is not int or not 0 <= length <= len(body) - start:
                raise InputError(
                    f"input '{tensor.name}': {BINARY_SIZE} {str(length)[:20]} is beyond the end of the body"
                )
            tensor._raw_data, start = body[start : start + length], start + length
        elif tensor.data is None:
            raise InputError(f"input '{tensor.name}': has no data")
        inputs.append(tensor)
    if start != len(body):
        raise InputError(f"the body has {len(body) - start} bytes that belong to no input")
    identity = content.get("id")
    if identity is not None and (not isinstance(identity, str) or len(identity) > 1000):
        raise InputError("id: must be a text of at most 1,000 characters")
    parameters = _parameters(content, "the request")
    wanted = [
        RequestedOutput(
            _text(_object(item, "an output").get("name"), "an output's name"), _parameters(item, "an output")
        )
        for item in ([] if content.get("outputs") is None else _list(content["outputs"], "outputs"))
    ]
    return InferRequest(model, inputs, identity, parameters=parameters, request_outputs=wanted or None)


def _read_input(item: Mapping[str, Any]) -> InferInput:
    name = _text(item.get("name"), "an input's name")
    datatype = _text(item.get("datatype"), f"input '{name}': datatype")
    data = item.get("data")
    if data is not None and not isinstance(data, list):
        raise InputError(f"input '{name}': data must be a list")
    return InferInput(name, check_shape(item.get("shape"), name), datatype, data, _parameters(item, f"input '{name}'"))


def check_shape(shape: Any, name: str) -> list[int]:
    """A tensor's shape. Raises InputError for anything but a few whole numbers from 0 on."""
    if not isinstance(shape, (list, tuple)) or any(type(size) is not int or not 0 <= size < 2**31 for size in shape):
        raise InputError(f"input '{name}': shape must be a list of whole numbers")
    if len(shape) > MOST_AXES:
        raise InputError(f"input '{name}': has {len(shape)} axes, at most {MOST_AXES} are taken")
    return list(shape)


def read_array(tensor: InferInput) -> Array:
    """The numbers of an input. Raises InputError where its data are not what datatype and shape say."""
    where = f"input '{tensor.name}'"
    dtype = np.dtype(DTYPES.get(tensor.datatype) or _unknown(where, tensor.datatype))
    shape = check_shape(tensor.shape, tensor.name)
    count = math.prod(shape)
    if tensor._raw_data is not None:
        if len(tensor._raw_data) != count * dtype.itemsize:
            size = len(tensor._raw_data)
            raise InputError(
                f"{where}: {size} bytes do not fill {shape} of {tensor.datatype}, {count * dtype.itemsize} do"
            )
        if dtype.kind == "b" and tensor._raw_data.translate(None, b"\0\1"):
            raise InputError(f"{where}: a BOOL is a byte of 0 or 1")
        return np.frombuffer(tensor._raw_data, dtype.newbyteorder("<")).astype(dtype, copy=False).reshape(shape)
    try:
        values = np.array(tensor.data)
    except (ValueError, OverflowError, TypeError) as error:
        raise InputError(f"{where}: data must be numbers, flat or nested as its shape") from error
    if values.size != count or (values.ndim > 1 and list(values.shape) != shape):
        raise InputError(f"{where}: {values.size} values of shape {list(values.shape)} do not fill {shape}")
    if values.size and values.dtype.kind not in KINDS[dtype.kind]:
        raise InputError(f"{where}: data must be {tensor.datatype}, and some of it is not")
    return _cast(values, dtype, where, tensor.datatype).reshape(shape)


def _cast(values: Array, dtype: np.dtype[Any], where: str, datatype: str) -> Array:
    if dtype.kind in "iu" and values.size:
        limits = np.iinfo(dtype)
        if int(values.min()) < limits.min or int(values.max()) > limits.max:
            raise InputError(f"{where}: {datatype} holds {limits.min} to {limits.max}, and some value is beyond")
    try:
        with np.errstate(over="raise"):
            return values.astype(dtype)
    except FloatingPointError as error:
        raise InputError(f"{where}: some value is beyond what {datatype} holds") from error


def _unknown(where: str, datatype: str) -> str:
    raise InputError(f"{where}: unknown datatype {datatype[:20]!r}; known: {', '.join(DTYPES)}, BYTES")


def read_bytes(tensor: InferInput) -> list[bytes]:
    """The elements of a BYTES input; texts of a JSON body are UTF-8. Raises InputError where they do not fill the shape."""
    where = f"input '{tensor.name}'"
    count = math.prod(check_shape(tensor.shape, tensor.name))
    if tensor._raw_data is None:
        elements = [_element(item, where) for item in _flatten(tensor.data)]
    else:
        elements = _split_elements(tensor._raw_data, where)
    if len(elements) != count:
        raise InputError(f"{where}: {len(elements)} elements do not fill {list(tensor.shape)}")
    return elements


def from_base64(element: bytes, where: str) -> bytes:
    """A file that came as text in JSON."""
    try:
        return base64.b64decode(element, validate=True)
    except binascii.Error as error:
        raise InputError(f"{where}: a file in JSON is base64, or binary behind the JSON; this is neither") from error


def _flatten(data: Any) -> list[Any]:
    flat: list[Any] = []
    rest = [data]
    while rest:
        item = rest.pop()
        if isinstance(item, list):
            rest += reversed(item)
        else:
            flat.append(item)
    return flat


def _element(item: Any, where: str) -> bytes:
    if isinstance(item, bytes):
        return item
    if isinstance(item, str):
        return item.encode()
    raise InputError(f"{where}: an element of BYTES in JSON is a text")


def _split_elements(content: bytes, where: str) -> list[bytes]:
    elements, at = [], 0
    while at < len(content):
        if at + 4 > len(content):
            raise InputError(f"{where}: its last element has no length")
        (length,) = struct.unpack_from("<I", content, at)
        if length > len(content) - at - 4:
            raise InputError(f"{where}: an element is longer than what was sent")
        elements.append(content[at + 4 : at + 4 + length])
        at += 4 + length
    return elements


def write_response(response: InferResponse, request: InferRequest) -> tuple[bytes, int | None]:
    """The body of an answer, and the length of its JSON where binary tensors follow. Raises InputError for FP16 in JSON."""
    whole = bool((request.parameters or {}).get("binary_data_output", False))
    asked = {item.name: item.parameters or {} for item in request.request_outputs or []}
    outputs, parts = [], []
    for output in response.outputs:
        array: Array = output.data
        described = {"name": output.name, "shape": list(array.shape), "datatype": output.datatype}
        parameters = dict(output.parameters or {})
        if asked.get(output.name, {}).get("binary_data", whole):
            parts.append(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
            parameters[BINARY_SIZE] = len(parts[-1])
        elif array.dtype == np.float16:
            raise InputError(f"output '{output.name}' is FP16, which JSON does not have here: ask for binary_data")
        else:
            described["data"] = np.ascontiguousarray(array).reshape(-1)
        if parameters:
            described["parameters"] = parameters
        outputs.append(described)
    content = {
        "model_name": response.model_name,
        "model_version": response.model_version,
        "id": response.id,
        "parameters": response.parameters,
        "outputs": outputs,
    }
    body = orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
    return (body, None) if not parts else (b"".join([body, *parts]), len(body))


def _object(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{what} must be a JSON object")
    return value


def _list(value: Any, what: str) -> Sequence[Any]:
    if not isinstance(value, list):
        raise InputError(f"{what}: must be a list")
    return value


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 1000:
        raise InputError(f"{what} must be a text")
    return value


def _parameters(item: Mapping[str, Any], what: str) -> dict[str, Any] | None:
    value = item.get("parameters")
    if value is None:
        return None
    if not isinstance(value, dict) or not all(isinstance(entry, (str, int, float)) for entry in value.values()):
        raise InputError(f"{what}: parameters must be an object of texts, numbers and truth values")
    return value
