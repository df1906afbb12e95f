"""Time per operator by LiteRT's own profiler: the C interface of its library (litert/c), which its Python package leaves out.

Structures and functions are those of the version that is named here; with another the profiler is not used.
"""

from __future__ import annotations

import ctypes
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgeship.processes.wire import Arrays

KNOWN = "2.3."
LIBRARY = {"linux": "libLiteRt.so", "darwin": "libLiteRt.dylib"}
CPU = 1  # LiteRtHwAccelerators
WRITE = 1  # LiteRtTensorBufferLockMode
# litert_profiler_event.h: an operator of the file (`metadata` is its index), and one of a delegate's own.
OPERATOR, DELEGATED = 2, 8
RANK_BITS = 0x7F
HOST_MEMORY = 1  # LiteRtTensorBufferType
# Options are text, as the library's own C++ classes write it (litert/c/options).
OPTIONS = {"runtime_options_string": "enable_profiling = true\n", "xnnpack": "num_threads = {threads}\n"}


class _Event(ctypes.Structure):
    _fields_ = (
        ("tag", ctypes.c_char_p),
        ("kind", ctypes.c_int),
        ("start_us", ctypes.c_uint64),
        ("elapsed_us", ctypes.c_uint64),
        ("memory", ctypes.c_int64 * 6),
        ("metadata", ctypes.c_uint64),
        ("further_metadata", ctypes.c_uint64),
        ("source", ctypes.c_int),
    )


def missing_reason(version: str) -> str:
    """Why this LiteRT's profiler cannot be used; empty where it can."""
    if not version.startswith(KNOWN):
        return f"the profiler of LiteRT {version} is not known here, that of {KNOWN}x is"
    return "" if _library_path() else f"LiteRT has no library with a profiler on {sys.platform}"


def _library_path() -> Path | None:
    found, name = importlib.util.find_spec("ai_edge_litert"), LIBRARY.get(sys.platform)
    if name is None or found is None or found.origin is None:
        return None
    path = Path(found.origin).with_name(name)
    return path if path.is_file() else None


class ProfiledModel:
    """A `.tflite` compiled for the CPU with its profiler on; `inputs` and `outputs` are its buffers.

    `outputs`: what it gives for `feeds`. What it holds lives as long as the process, which is a worker's.
    """

    def __init__(self, path: str, threads: int, signature: int, feeds: Arrays, outputs: Arrays) -> None:
        self._library = ctypes.CDLL(str(_library_path()))
        self._environment = self._make("LiteRtCreateEnvironment", ctypes.c_int(0), None)
        self._model = self._make("LiteRtCreateModelFromFile", self._environment, ctypes.c_char_p(path.encode()))
        self._compiled = self._make("LiteRtCreateCompiledModel", self._environment, self._model, self._options(threads))
        self._profiler = self._make("LiteRtCompiledModelGetProfiler", self._compiled)
        self._index = ctypes.c_size_t(signature)
        self._signature = self._make("LiteRtGetModelSignature", self._model, self._index)
        self.inputs = self._input_buffers(feeds)
        self.outputs = [self._output_buffer(outputs, number) for number in range(self._count("Outputs"))]

    def _call(self, name: str, *arguments: Any) -> None:
        function = getattr(self._library, name)
        function.restype = ctypes.c_int
        if status := function(*arguments):
            raise RuntimeError(f"LiteRT's profiler: {name} gives status {status}")

    def _make(self, name: str, *arguments: Any) -> ctypes.c_void_p:
        """The object that a function writes to its last argument."""
        result = ctypes.c_void_p()
        self._call(name, *arguments, ctypes.byref(result))
        return result

    def _options(self, threads: int) -> ctypes.c_void_p:
        system = ctypes.CDLL(None)
        system.strdup.restype, system.strdup.argtypes = ctypes.c_void_p, [ctypes.c_char_p]
        release = ctypes.cast(system.free, ctypes.c_void_p)
        options = self._make("LiteRtCreateOptions")
        self._call("LiteRtSetOptionsHardwareAccelerators", options, ctypes.c_int(CPU))
        for name, text in OPTIONS.items():
            content = ctypes.c_void_p(system.strdup(text.format(threads=threads).encode()))
            self._names = (*getattr(self, "_names", ()), ctypes.c_char_p(name.encode()))
            opaque = self._make("LiteRtCreateOpaqueOptions", self._names[-1], content, release)
            self._call("LiteRtAddOpaqueOptions", options, opaque)
        return options

    def _count(self, side: str) -> int:
        number = ctypes.c_size_t()
        self._call(f"LiteRtGetNumSignature{side}", self._signature, ctypes.byref(number))
        return number.value

    def _tensor_type(self, side: str, number: int) -> Any:
        """A LiteRtRankedTensorType: type, rank, sizes; one that is free is 1."""
        tensor = self._make(f"LiteRtGetSignature{side}TensorByIndex", self._signature, ctypes.c_size_t(number))
        words = (ctypes.c_int32 * 64)()
        self._call("LiteRtGetRankedTensorType", tensor, words)
        for place in range(2, 2 + (words[1] & RANK_BITS)):
            words[place] = max(words[place], 1)
        return words

    def _output_buffer(self, outputs: Arrays, number: int) -> ctypes.c_void_p:
        """A buffer of the output's size; the library's own are of one sample where the file leaves its shape open."""
        array, words = self._named("Output", outputs, number), self._tensor_type("Output", number)
        words[2 : 2 + array.ndim] = array.shape
        size = ctypes.c_size_t(array.nbytes)
        kind = ctypes.c_int(HOST_MEMORY)
        return self._make("LiteRtCreateManagedTensorBuffer", self._environment, kind, words, size)

    def _input_buffer(self, number: int, words: Any) -> ctypes.c_void_p:
        at = ctypes.c_size_t(number)
        needs = self._make("LiteRtGetCompiledModelInputBufferRequirements", self._compiled, self._index, at)
        return self._make("LiteRtCreateManagedTensorBufferFromRequirements", self._environment, words, needs)

    def _size(self, buffer: ctypes.c_void_p) -> int:
        size = ctypes.c_size_t()
        self._call("LiteRtGetTensorBufferSize", buffer, ctypes.byref(size))
        return size.value

    def _input_buffers(self, feeds: Arrays) -> list[ctypes.c_void_p]:
        arrays = [self._named("Input", feeds, number) for number in range(self._count("Inputs"))]
        types = [self._tensor_type("Input", number) for number in range(len(arrays))]
        for number, (array, words) in enumerate(zip(arrays, types, strict=True)):
            words[2 : 2 + array.ndim] = array.shape
            sizes = (ctypes.c_int * array.ndim)(*array.shape)
            at, rank = ctypes.c_size_t(number), ctypes.c_size_t(array.ndim)
            self._call("LiteRtCompiledModelResizeInputTensor", self._compiled, self._index, at, sizes, rank)
        buffers = []
        for number, (array, words) in enumerate(zip(arrays, types, strict=True)):
            buffer = self._input_buffer(number, words)
            if (size := self._size(buffer)) < array.nbytes:
                raise RuntimeError(f"LiteRT's profiler: an input holds {size} bytes, {array.nbytes} are given")
            address = ctypes.c_void_p()
            self._call("LiteRtLockTensorBuffer", buffer, ctypes.byref(address), ctypes.c_int(WRITE))
            ctypes.memmove(address, array.tobytes(), array.nbytes)
            self._call("LiteRtUnlockTensorBuffer", buffer)
            buffers.append(buffer)
        return buffers

    def _named(self, side: str, arrays: Arrays, number: int) -> Any:
        name = ctypes.c_char_p()
        at = ctypes.c_size_t(number)
        self._call(f"LiteRtGetSignature{side}Name", self._signature, at, ctypes.byref(name))
        text = (name.value or b"").decode(errors="replace")
        return arrays[text] if text in arrays else list(arrays.values())[number]

    def run(self) -> list[tuple[str, int | None, float]]:
        """One inference: what was executed in order, as the runtime calls it, the file's operator where known, and ms."""
        sides = [(ctypes.c_void_p * len(side))(*side) for side in (self.inputs, self.outputs)]
        counts = [ctypes.c_size_t(len(side)) for side in sides]
        self._call("LiteRtStartProfiler", self._profiler)
        self._call("LiteRtRunCompiledModel", self._compiled, self._index, counts[0], sides[0], counts[1], sides[1])
        self._call("LiteRtStopProfiler", self._profiler)
        result = list(self._read_events())
        self._call("LiteRtResetProfiler", self._profiler)
        return result

    def _read_events(self) -> Iterator[tuple[str, int | None, float]]:
        count = ctypes.c_int()
        self._call("LiteRtGetNumProfilerEvents", self._profiler, ctypes.byref(count))
        events = (_Event * count.value)()
        self._call("LiteRtGetProfilerEvents", self._profiler, count, events)
        for event in events:
            if event.kind in (OPERATOR, DELEGATED):
                operator = int(event.metadata) if event.kind == OPERATOR and not event.further_metadata else None
                yield (event.tag or b"").decode(errors="replace"), operator, event.elapsed_us / 1000
