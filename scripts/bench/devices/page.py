"""The page of `make bench-devices`: tables of what was found, and what the same models are said to need elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

Json = dict[str, Any]
NAMES = {
    "fashion-mnist": "default task",
    "fashion-mnist-logits": "default task without softmax",
    "mobilenetv2": "MobileNetV2-96",
    "mobilenetv1-96x96x1": "MobileNetV1-0.25-96, 1 channel",
    "mobilenetv1-96x96x3": "MobileNetV1-0.25-96, 3 channels",
}
CLASSES = ("scalar", "memory", "simd", "fused", "widening", "dot")
# What others publish for the same architectures; read 2026-11-22.
ARM = "https://community.arm.com/arm-community-blogs/b/ai-blog/posts/ml-based-embedded-computer-vision"
MLCOMMONS = "https://github.com/mlcommons/tiny/tree/master/benchmark"
PUBLISHED = (
    (
        "person detection, 96x96x1",
        "7,215,492 MACs; 136 KB of tensor arena; 294 KB model",
        f"Arm, [High efficiency ML-based embedded computer vision]({ARM}), its table of TFLM's examples",
        "mobilenetv1-96x96x1",
    ),
    (
        "visual wake words, 96x96x3",
        "333,288 bytes (`vww_96_int8.tflite`); 200 KiB of arena reserved",
        f"MLCommons, [tiny]({MLCOMMONS}): `training/visual_wake_words`, `reference_submissions/person_detection`",
        "mobilenetv1-96x96x3",
    ),
)
SOFTMAX = """What the int8 file computes is bit-exact up to its softmax: TFLite's for ARM64 reads exponentials from another table
than elsewhere (`TFLITE_SOFTMAX_USE_UINT16_LUT` in its `optimized_ops.h`)."""
CAUTION = """Both are MobileNetV1 with a quarter of the width; ours is `keras.applications.MobileNet` with random weights, which
differs from theirs in details: padding, the classifier at the end, ReLU6 for ReLU in MLCommons'. An arena that an example
reserves is an upper bound, and ours is taken on a 64-bit machine, where TFLM's own structures are larger. For Vela's cycles
of this model no table of Arm's or MLCommons' was found: they stand without a comparison."""


def write(found: dict[str, Json], path: Path) -> None:
    """The page, with the parts that were taken so far (zeros are shown beside counts)."""
    days = ", ".join(dict.fromkeys(part["date"] for part in found.values()))
    parts = [
        "# What devices say of a few models",
        f"\nWritten by `make bench-devices`, part by part, on {days}; the profiles in `src/edgeship/devices` say which versions.",
        "The MobileNets have random weights, which decide neither instructions nor arenas nor cycles.",
        "[docs/devices.md](../devices.md) says what the figures mean.",
    ]
    if missing := [name for name in ("parity", "counts", "zeros", "micro", "field", "matrix") if name not in found]:
        parts.append(f"Not taken yet: the part {' and '.join(missing)}.")
    rows = {name: part["rows"] for name, part in found.items()}
    for name, section in (
        ("parity", _parity),
        ("counts", _counts),
        ("zeros", lambda zeros: _zeros(zeros, rows["counts"])),
        ("micro", _micro),
        ("field", _field),
        ("matrix", _matrix),
    ):
        if name in rows:
            parts += section(rows[name])
    path.write_text("\n".join(parts) + "\n", encoding="utf-8")


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return ["", *lines, *("| " + " | ".join(map(str, row)) + " |" for row in rows), ""]


def _parity(rows: Json) -> list[str]:
    body = []
    for key, row in rows.items():
        model, artifact, core = key.split()
        if row["steps"] or row["max_abs_error"] == 0:
            how = (
                "bit-exact"
                if not row["differ"]
                else ", ".join(f"{n:,} by {step} LSB" for step, n in row["steps"].items())
            )
        else:
            how = f"{row['differ']:,}, by at most {row['max_abs_error']:.1e}"
        body.append(
            (
                NAMES[model],
                artifact,
                core,
                f"{row['n']:,}",
                f"{row['values']:,}",
                how,
                f"{row['agreement']:.2%}",
                f"{row['accuracy']:.4f}",
            )
        )
    against = next(iter(rows.values()))["against"]
    bare = [row["differ"] for key, row in rows.items() if key.startswith("fashion-mnist-logits tflite/int8 ")]
    head = (
        "model",
        "artifact",
        "core [emulated]",
        "images",
        "output values",
        "other than here",
        "same answer",
        "accuracy",
    )
    return [
        "\n## Outputs of the default task against this machine's",
        f"\nThe same file, the same test images, {against} on both sides.",
        *_table(head, body),
        *([SOFTMAX] if bare and not any(bare) else []),
    ]


def _counts(rows: Json) -> list[str]:
    body = []
    for key, row in rows.items():
        model, artifact, core = key.split()
        same = len(row["runs"]) if len(set(row["runs"])) == 1 else 0
        runs = (
            "one run"
            if same == 1
            else f"{same} of {same}"
            if same
            else " / ".join(f"{value:,}" for value in row["runs"])
        )
        base = rows[f"{model} tflite/float32 {core}"]["total"]
        shares = [f"{row['classes'][name] / row['total']:.0%}" for name in CLASSES]
        body.append(
            (
                NAMES[model],
                artifact,
                core,
                f"{row['total']:,}",
                f"{row['total'] / base:.3f}",
                runs,
                *shares,
                row["kernels"],
            )
        )
    head = ("model", "artifact", "core [emulated]", "instructions", "to float32", "identical runs")
    return [
        "\n## Instructions per inference, LiteRT",
        "\nBatch 1, one thread, each run in a new process from an empty cache. Of the shares `fused` (float multiply-add),",
        "`widening` (8-bit multiplies of plain NEON) and `dot` (8-bit dot products, new in the Cortex-A76) are parts of `simd`.",
        *_table((*head, *CLASSES, "most of the multiplying"), body),
    ]


def _zeros(rows: Json, counts: Json) -> list[str]:
    body = []
    for key, row in rows.items():
        model, kind, core = key.split()
        base = counts[f"{model} tflite/float32 {core}"]["total"]
        stored = {"dense": "zeros as they are", "sparse": "sparse encoding"}[kind]
        fused = f"{row['classes']['fused']:,}"
        body.append(
            (NAMES[model], stored, core, f"{row['bytes']:,}", f"{row['total']:,}", f"{row['total'] / base:.3f}", fused)
        )
    head = (
        "model, float32, 80 % zeros",
        "stored with",
        "core [emulated]",
        "bytes",
        "instructions",
        "to float32",
        "float multiply-adds",
    )
    pairs = [(row, rows[key.replace(" dense ", " sparse ")]) for key, row in rows.items() if " dense " in key]
    same = sum(dense["classes"]["fused"] == sparse["classes"]["fused"] for dense, sparse in pairs)
    told = f"{same} of {len(pairs)} models multiply as often with the zeros left out of the file: XNNPACK's sparse kernels did"
    return [
        "\n## Zeros: what pruning saves, and what it does not",
        *_table(head, body),
        f"\n{told}\nnot run, and there sparse encoding buys size and no time.",
    ]


def _micro(rows: Json) -> list[str]:
    arenas, compiled = [], []
    for key, row in rows.items():
        model, device = key.split()
        if device == "cortex-m":
            arenas.append(
                (
                    NAMES[model],
                    f"{row['bytes']:,}",
                    f"{row['arena_total_bytes']:,}" if "arena_total_bytes" in row else "-",
                    row["cell"],
                )
            )
        else:
            ops = f"{row['npu_ops']} of {row['npu_ops'] + row['cpu_ops']}"
            memory = [f"{row[name] / 1024:,.1f}" for name in ("sram_bytes", "flash_bytes")]
            rate = f"{row['inferences_per_second']:,.0f}"
            compiled.append((NAMES[model], device, ops, f"{row['macs']:,}", f"{row['cycles']:,}", *memory, rate))
    return [
        "\n## Microcontrollers: `cortex-m` [emulated], int8",
        *_table(("model", "bytes", "tensor arena, bytes", "all operators exist; against this machine"), arenas),
        "## NPUs: Arm's Vela [estimated], int8",
        *_table(
            ("model", "device", "ops on NPU", "MACs", "cycles", "SRAM KiB", "flash or DRAM KiB", "inferences/s"),
            compiled,
        ),
        "## Against published figures",
        *_table(("model", "published", "where", "here"), [(*row[:3], _ours(rows, row[3])) for row in PUBLISHED]),
        CAUTION,
    ]


def _field(rows: Json) -> list[str]:
    seconds = rows["seconds"]
    body, notes = [], []
    for device, taken in seconds.items():
        cells = {key.split()[0]: row for key, row in rows.items() if key.endswith(f" {device}")}
        for artifact, row in cells.items():
            body.append((device, f"{taken:.1f} s", artifact, row["text"]))
            if row["why"]:
                said = f" It says: `{' '.join(row['said'].split())[:240]}`" if row["said"] != row["why"] else ""
                notes.append(f"* {artifact} on {device}: {' '.join(row['why'].split())}.{said}".replace("..", "."))
    return [
        "\n## Runtimes that shipped apps still carry [measured]",
        "\nThe default task's artifacts against this machine's own runtimes; set up anew with the packages in the cache.",
        *_table(("device", "set up in", "artifact", "against this machine"), body),
        *notes,
    ]


def _ours(rows: Json, model: str) -> str:
    arena, npu = rows[f"{model} cortex-m"], rows[f"{model} ethos-u55-128"]
    size = arena["arena_total_bytes"]
    return f"{npu['macs']:,} MACs; {size:,} bytes ({size / 1024:.1f} KiB) of arena; {arena['bytes']:,} bytes"


def _matrix(rows: Json) -> list[str]:
    cells = {tuple(key.split()): text for key, text in rows["cells"].items()}
    artifacts, devices = (list(dict.fromkeys(key[side] for key in cells)) for side in (0, 1))
    cold, *again = rows["seconds"]
    body = [(artifact, *(cells.get((artifact, device), "") for device in devices)) for artifact in artifacts]
    return [
        "\n## One matrix",
        f"\nThe default task's {len(artifacts)} artifacts on {len(devices)} installed devices, with accuracy on as many test",
        "images as each device's `seconds` allow, and this machine's own latency, took",
        f"{cold:.0f} s without any result in the cache, then {' and '.join(f'{seconds:.1f} s' for seconds in again)}",
        "(a run takes those latencies again for which the machine was too busy before).",
        *_table(("artifact", *devices), body),
    ]
