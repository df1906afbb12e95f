"""Writes the reference pages in docs/ from the code, `make references`; a test fails where a page is stale."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from edgeship.benchmarks.gate.budget import Budget
from edgeship.bundle.manifest import manifest_schema
from edgeship.deploy.contract.contract import contract_schema
from edgeship.monitoring.reports.report import report_schema
from edgeship.recipes.training import ClusterRecipe, DistillRecipe, PruneRecipe, QatRecipe, Training
from edgeship.settings.inputs import InputForm
from edgeship.settings.outputs import OutputForm
from edgeship.settings.sections import Benchmark, Data, Learning, Model
from edgeship.settings.variants import Variant
from edgeship.toml_tables import Key, describe_keys, toml_value
from scripts.maintain.cli_reference import command_line

DOCS = Path(__file__).resolve().parents[2] / "docs"
INTRODUCTION = """\
# edgeship.toml, key by key

Written by `make references` from the code that reads the file. `edgeship init MODEL` writes a commented one beside a model, with
the model's own inputs and outputs in it. Unknown keys are refused, and the known ones listed. Paths are relative to the file.
[measuring.md](measuring.md) says how figures are taken, [data.md](data.md) how data files are made.
"""
# Sections in the order of a file: heading, what stands above its table, and the dataclass whose keys they are.
SECTIONS: tuple[tuple[str, str, type], ...] = (
    ("[model]", "How the model is loaded.", Model),
    (
        "[data]",
        "Each is an `.npz` file, a folder of them, or code as `package.module:attribute`. Code runs, and files outside the "
        "file's folder are read, only where you name the file (`--config`) or trust it (`edgeship trust`).",
        Data,
    ),
    (
        "[variants.NAME]",
        "One table for each variant. Without any, variants are chosen by the formats and the data. The names `float32`, "
        "`float16`, `int8`, `auto`, `dynamic_w8`, `weight_only_w8`, `dynamic_w4` and `weight_only_w4` stand for a recipe; any "
        "other name is yours. `distill`, `prune`, `cluster` and `qat` train the variant's own model further, in this order, and "
        "may be tables, below.",
        Variant,
    ),
    ("prune, a table", "Magnitude pruning. `prune = 0.7` is `prune = { sparsity = 0.7 }`.", PruneRecipe),
    (
        "cluster, a table",
        "Weights that share few values. `cluster = 16` is `cluster = { clusters = 16 }`; zeros of pruning stay.",
        ClusterRecipe,
    ),
    ("qat, a table", "Quantization-aware training, for full-integer 8-bit.", QatRecipe),
    ("distill, a table", "A smaller model learns from the server model. `distill = 0.5` is `{ width = 0.5 }`.", DistillRecipe),
    ("[learning]", "What a bundle holds so that its model can learn on a device.", Learning),
    ("[training]", "How models are trained further, for `prune`, `cluster`, `qat` and `distill`.", Training),
    (
        "[input.NAME]",
        "What an app has in hand for an input of the model, and what training did to it. The bundle's `contract.json` says it "
        "to apps; what is neither stated nor certain from the data is unknown there. A kind has the keys that mean something.",
        InputForm,
    ),
    (
        "[output.NAME]",
        "What an app makes of an output's scores: `contract.json`, the metadata of `mobile` files and generated clients have it.",
        OutputForm,
    ),
    ("[benchmark]", "How artifacts are measured.", Benchmark),
    (
        "[budget]",
        'What the gate demands of every artifact; `[budget."tflite/int8"]` and patterns as `[budget."tflite/*"]` override it, '
        "but for `min_server_accuracy`, `required` and `optional`.",
        Budget,
    ),
)  # fmt: skip


def configuration() -> str:
    """docs/configuration.md: every section of `edgeship.toml` with its keys."""
    parts = [
        f"{'##' if heading.startswith('[') else '###'} {heading}\n\n{text}\n\n{_key_table(describe_keys(kind))}"
        for heading, text, kind in SECTIONS
    ]
    return "\n".join([INTRODUCTION, *parts])


def _key_table(keys: Iterable[Key]) -> str:
    rows = ["| key | value | default | meaning |", "|---|---|---|---|"]
    for key in keys:
        value = (
            key.words
            if key.example is True or key.example == key.default
            else f"{key.words}, as `{toml_value(key.example)}`"
        )
        cells = (f"`{key.name}`", value, _default(key.default), key.description)
        rows.append(f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |")
    return "\n".join(rows) + "\n"


def _default(value: Any) -> str:
    return "" if value is None or value == () else f"`{toml_value(value)}`"


def manifest() -> str:
    """docs/manifest.schema.json: what a bundle's manifest.json holds."""
    return json.dumps(manifest_schema(), indent=1) + "\n"


def contract() -> str:
    """docs/apps/contract.schema.json: what a bundle's contract.json holds."""
    return json.dumps(contract_schema(), indent=1) + "\n"


def report() -> str:
    """docs/monitoring/report.schema.json: what a client sends."""
    return json.dumps(report_schema(), indent=1) + "\n"


PAGES: Mapping[str, Callable[[], str]] = {
    "cli.md": command_line,
    "configuration.md": configuration,
    "apps/contract.schema.json": contract,
    "manifest.schema.json": manifest,
    "monitoring/report.schema.json": report,
}


def main() -> None:
    """Write all pages."""
    for name, text in PAGES.items():
        (DOCS / name).write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
