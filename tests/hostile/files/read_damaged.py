"""`python -m tests.hostile.files.read_damaged KIND BASE FIRST COUNT`: read damaged copies of a file, tell how it ended as JSON.

KIND: tflite, onnx, tfjs-json, tfjs-shard (BASE is a TF.js folder), npz. A process of its own, so that a native crash is
noticed: the last line of standard error names the copy that is being read.
"""

from __future__ import annotations

import contextlib
import io
import json
import resource
import shutil
import signal
import sys
import tempfile
import time
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner

from edgeship import data, untrusted
from edgeship.cli.bundles.inspect import describe_receipt, inspect
from edgeship.convert.receipts import receipt
from edgeship.errors import EdgeshipError
from edgeship.types import TensorSpec, to_json
from tests.hostile.files.damage import damage

SECONDS = 10  # that reading one copy may take
HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}


class Hung(BaseException):
    """Not an Exception: nothing that catches those may take it for a damaged file."""


def hung(*_: object) -> None:
    raise Hung


def inspected(path: Path) -> None:
    """As people do it, and as programs: what it prints must not steer a terminal."""
    for more in ([], ["--json", "-"]):
        result = CliRunner().invoke(inspect, [str(path), *more])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        if any(unicodedata.category(char) in HIDDEN for char in result.output.replace("\n", "")):
            raise AssertionError("control characters were printed")


def received(path: Path) -> None:
    """The same of an `.onnx` or `.tflite`, in this process: a new one for each takes long.

    And what crashes here is to be noticed.
    """
    contents = untrusted.printable_value(receipt.read(path))
    text = json.dumps(to_json(contents), allow_nan=False) + "".join(describe_receipt("name", contents))
    if any(unicodedata.category(char) in HIDDEN for char in text):
        raise AssertionError("control characters were printed")


def loaded(path: Path) -> None:
    """As evaluation data, and as goldens."""
    with contextlib.suppress(EdgeshipError):
        data.load(path)
    contents = data.RepresentativeDataset(path)
    array = (*contents.inputs, *contents.shapes)[0]
    spec = TensorSpec(array, (None, *contents.shapes[array]), "float32")
    for _ in contents.feeds([spec], 7):
        pass
    contents.labels()


def copies(kind: str, base: Path, folder: Path):
    """`write(seed)` puts a damaged copy into the folder and returns what is to be read."""
    if kind.startswith("tfjs"):
        model = folder / "tfjs"
        shutil.copytree(base, model)
        name = "model.json" if kind == "tfjs-json" else next(model.glob("*.bin")).name
        target, content = model / name, (base / name).read_bytes()
    else:
        model = target = folder / f"damaged.{kind}"
        content = base.read_bytes()

    def write(seed: int) -> Path:
        target.write_bytes(damage(content, seed))
        return model

    return write


def main(kind: str, base: str, first: str, count: str) -> None:
    """Read them all."""
    signal.signal(signal.SIGALRM, hung)
    read = {"npz": loaded, "onnx": received, "tflite": received}.get(kind, inspected)
    ends: dict[str, Any] = {"read": 0, "refused": 0, "unclear": [], "tracebacks": [], "hangs": []}
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        write = copies(kind, Path(base), Path(folder))
        for seed in range(int(first), int(first) + int(count)):
            path = write(seed)
            print(seed, file=sys.stderr, flush=True)
            signal.alarm(SECONDS)
            try:
                with contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
                    read(path)
                ends["read"] += 1
            except EdgeshipError as error:
                message = str(error)
                one_line = message.count("\n") <= 1 and str(folder) in message and error.exit_code == 2
                if one_line and not any(unicodedata.category(char) in HIDDEN for char in message.replace("\n", "")):
                    ends["refused"] += 1
                else:
                    ends["unclear"].append([seed, message])
            except Hung:
                ends["hangs"].append(seed)
            except BaseException as error:
                ends["tracebacks"].append([seed, f"{type(error).__name__}: {error}"[:200]])
            finally:
                signal.alarm(0)
    ends["seconds"] = round(time.process_time() - began, 1)
    ends["megabytes"] = peak_memory() >> 10
    print(json.dumps(ends))


def peak_memory() -> int:
    """Kilobytes that this process held at most. Linux' `ru_maxrss` begins with what its parent held when it was started."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))


if __name__ == "__main__":
    main(*sys.argv[1:])
