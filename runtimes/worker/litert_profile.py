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

    What it holds lives as long as the process, which is a worker's.
    """

    def __init__(self, path: str, threads: int, signature: int, feeds: Arrays) -> None:
        self._library = ctypes.CDLL(str(_library_path()))
        self._environment = self._make("LiteRtCreateEnvironment", ctypes.c_int(0), None)
        self._model = self._make("LiteRtCreateModelFromFile", self._environment, ctypes.c_char_p(path.encode()))
        self._compiled = self._make("LiteRtCreateCompiledModel", self._environment, self._model, self._options(threads))
        self._profiler = self._make("LiteRtCompiledModelGetProfiler", self._compiled)
        self._index = ctypes.c_size_t(signature)
        self._signature = self._make("LiteRtGetModelSignature", self._model, self._index)
        self.inputs = self._input_buffers(feeds)
        types = [self._tensor_type("Output", number) for number in range(self._count("Outputs"))]
        self.outputs = [self._buffer("Output", number, item) for number, item in enumerate(types)]

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

    def _buffer(self, side: str, number: int, words: Any) -> ctypes.c_void_p:
        at = ctypes.c_size_t(number)
        needs = self._make(f"LiteRtGetCompiledModel{side}BufferRequirements", self._compiled, self._index, at)
        return self._make("LiteRtCreateManagedTensorBufferFromRequirements", self._environment, words, needs)

    def _input_buffers(self, feeds: Arrays) -> list[ctypes.c_void_p]:
        arrays = [self._feed(feeds, number) for number in range(self._count("Inputs"))]
        types = [self._tensor_type("Input", number) for number in range(len(arrays))]
        for number, (array, words) in enumerate(zip(arrays, types, strict=True)):
            words[2 : 2 + array.ndim] = array.shape
            sizes = (ctypes.c_int * array.ndim)(*array.shape)
            at, rank = ctypes.c_size_t(number), ctypes.c_size_t(array.ndim)
            self._call("LiteRtCompiledModelResizeInputTensor", self._compiled, self._index, at, sizes, rank)
        buffers = []
        for number, (array, words) in enumerate(zip(arrays, types, strict=True)):
            buffer, size = self._buffer("Input", number, words), ctypes.c_size_t()
            self._call("LiteRtGetTensorBufferSize", buffer, ctypes.byref(size))
            if size.value < array.nbytes:
                raise RuntimeError(f"LiteRT's profiler: an input holds {size.value} bytes, {array.nbytes} are given")
            address = ctypes.c_void_p()
            self._call("LiteRtLockTensorBuffer", buffer, ctypes.byref(address), ctypes.c_int(WRITE))
            ctypes.memmove(address, array.tobytes(), array.nbytes)
            self._call("LiteRtUnlockTensorBuffer", buffer)
            buffers.append(buffer)
        return buffers

    def _feed(self, feeds: Arrays, number: int) -> Any:
        name = ctypes.c_char_p()
        self._call("LiteRtGetSignatureInputName", self._signature, ctypes.c_size_t(number), ctypes.byref(name))
        text = (name.value or b"").decode(errors="replace")
        return feeds[text] if text in feeds else list(feeds.values())[number]

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
