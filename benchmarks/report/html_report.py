"""The report: one HTML file that needs nothing else, read top down: verdict, what decided it, figures, evidence."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgeship.benchmarks.gate.checks import class_name
from edgeship.benchmarks.report import engine_comparison, flipped_samples, table_rows
from edgeship.benchmarks.report.terminal_table import title
from edgeship.untrusted import shown

Json = Mapping[str, Any]
FILE = "report/index.html"
TEMPLATE = "report.html"
GROUPS = 50  # measurements whose flips have pictures: a page may become as large as a manifest says otherwise
PARITY = ("max_abs_error", "mean_abs_error", "cosine", "sqnr_db", "agreement")


def write_report(root: Path, manifest: Json, drawn: Sequence[str] | None = None) -> Path:
    """Write `report/index.html` of a bundle (a draft of one), and return its path; `drawn`: see `render`."""
    target = root / FILE
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(render(root, manifest, drawn), encoding="utf-8")
    return target


def render(root: Path, manifest: Json, drawn: Sequence[str] | None = None) -> str:
    """The HTML. `root` is the bundle's folder, where the samples that flipped lie.

    `drawn` are the plots where they are at hand (`draw` makes them; it takes a second or two).
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    folder, manifest = Path(__file__).parent, shown(manifest)
    environment = Environment(loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined)
    return environment.get_template(TEMPLATE).render(
        model=Path(manifest["server_model"]["path"]).name,
        gate=manifest.get("gate") or {"verdict": "INCONCLUSIVE", "checks": [], "not_judged": []},
        headline=headline(manifest),
        title=title,
        table=table_rows.build(manifest),
        columns=table_rows.COLUMNS,
        # Matplotlib escapes every text in what it draws.
        plots=[Markup(plot) for plot in (draw(manifest) if drawn is None else drawn)],  # noqa: S704
        flips=flipped(manifest, flipped_samples.read(root)),
        engines=engine_comparison.compare(manifest),
        engine_columns=engine_comparison.COLUMNS,
        engine_note=engine_comparison.NOTE,
        parity=_parity(manifest),
        precision=_precision(manifest),
        provenance=_provenance(manifest),
        artifacts=_artifacts(manifest),
        skipped=manifest.get("skipped", []),
    )


def draw(manifest: Json) -> list[str]:
    """The plots as SVG: they depend on the manifest's measurements and labels only.

    Matplotlib reads a matplotlibrc of the working folder when it is imported: where there is one, it works in another.
    """
    if not os.path.lexists("matplotlibrc"):
        from edgeship.benchmarks.report import plots

        return plots.all_plots(shown(manifest))

    from edgeship.processes.child import FunctionProcess

    with FunctionProcess("plots", apart=True) as process:
        drawn: list[str] = process.call("edgeship.benchmarks.report.plots:all_plots", manifest=shown(manifest))
    return drawn


def headline(manifest: Json) -> str:
    """One sentence under the verdict."""
    gate = manifest.get("gate")
    if not gate:
        return "Nothing has been judged yet."
    checks = gate["checks"]
    count = {name: sum(check["verdict"] == name for check in checks) for name in ("PASS", "FAIL", "INCONCLUSIVE")}
    judged = len({check["artifact"] for check in checks if check["artifact"]})
    parts = [f"{judged} artifact{'s' if judged != 1 else ''} judged by {len(checks)} checks: {count['PASS']} passed"]
    parts += [f"{count['FAIL']} failed"] if count["FAIL"] else []
    parts += [f"{count['INCONCLUSIVE']} could not be decided"] if count["INCONCLUSIVE"] else []
    parts += [f"{len(gate['not_judged'])} not judged"] if gate.get("not_judged") else []
    return ", ".join(parts) + "."


def flipped(manifest: Json, kept: Mapping[int, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Per measurement, of the first that have some, the flips that tell most, each with its picture where the sample was kept."""
    from markupsafe import Markup

    labels = manifest.get("labels") or []
    groups: list[dict[str, Any]] = []
    for item in table_rows.own(manifest):
        if len(groups) == GROUPS:
            break
        found = item["details"].get("accuracy") or {}
        shown = []
        for flip in flipped_samples.chosen(found.get("flips", [])):
            kind, content = flipped_samples.picture(kept[flip["index"]]) if flip["index"] in kept else ("none", "")
            names = {key: class_name(labels, flip[key]) for key in ("label", "server", "artifact")}
            shown.append({**flip, **names, "kind": kind, "content": Markup(content) if kind == "curve" else content})  # noqa: S704
            shown[-1]["worse"] = flip["server"] == flip["label"]
            shown[-1]["better"] = flip["artifact"] == flip["label"]
        if shown:
            groups.append(
                {"artifact": item["artifact"], "runtime": item["runtime"], "flips": shown, **_flip_counts(found)}
            )
    return groups


def _flip_counts(found: Json) -> dict[str, Any]:
    return {"total": found["flips_total"], "n": found["n"]}


def _parity(manifest: Json) -> list[dict[str, Any]]:
    table = []
    for item in manifest["measurements"]:
        for output, figures in (item["details"].get("parity") or {}).items():
            cells = {name: _number(figures[name]) for name in PARITY}
            runtime = f"{item['runtime']} ({', '.join(table_rows.kinds(item))})"
            table.append({"artifact": item["artifact"], "runtime": runtime, "output": output, **cells})
            table[-1]["reason"] = figures["reason"]
    for pair in manifest.get("between_formats", []):
        for output, figures in pair["parity"].items():
            cells = {name: _number(figures[name]) for name in PARITY}
            named = {"artifact": pair["artifact"], "runtime": f"against {pair['against']}", "output": output}
            table.append({**named, **cells, "reason": figures["reason"]})
    return table


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}" if abs(value) >= 0.9 else f"{value:.3g}"


def _provenance(manifest: Json) -> list[tuple[str, str]]:
    server, data = manifest["server_model"], manifest.get("data") or {}
    facts = [
        (
            "server model",
            f"{server['path']} ({server.get('loader', '?')}, {server.get('parameters') or '?'} parameters)",
        ),
        ("its sha256", server["digest"]),
    ]
    for name in ("calibration", "evaluation"):
        item = data.get(name)
        facts.append(
            (f"{name} data", f"{item['source']}, {item['samples']} samples, {item['digest']}" if item else "none")
        )
    facts.append(("made", f"{manifest.get('created', '?')} with edgeship {manifest.get('edgeship', '(this version)')}"))
    facts.append(("machine", ", ".join(f"{key} {value}" for key, value in (manifest.get("machine") or {}).items())))
    facts.append(
        ("tools", ", ".join(f"{key} {value}" for key, value in (manifest.get("tools") or {}).items() if value))
    )
    return facts + [("note", note) for note in server.get("notes", [])]


def _artifacts(manifest: Json) -> list[dict[str, str]]:
    """What each artifact holds and how it came to be, in a line each."""
    told = []
    for item in manifest["artifacts"]:
        receipt = item.get("receipt") or {}
        share = receipt.get("int8_op_share")
        holds = [f"{share:.0%} of ops in int8"] if share is not None else []
        islands = receipt.get("float_islands") or []
        holds += (
            [f"float islands: {', '.join(islands[:6])}{', …' if len(islands) > 6 else ''}"] if islands and share else []
        )
        if receipt.get("sparsity") and receipt["weights"]["sparsity"] is not None:
            holds.append(f"{receipt['weights']['sparsity']:.0%} of the weights are zero")
        if sparse := receipt.get("sparse_encoding"):
            holds.append(f"kernels stored without their zeros: {len(sparse)}")
        holds += [_temperature(output, figures) for output, figures in (item.get("temperature") or {}).items()]
        steps = " → ".join(step["name"] for step in item["steps"])
        told.append({"id": item["id"], "path": item["path"], "steps": steps, "holds": "; ".join(holds)})
    return told


def _precision(manifest: Json) -> list[dict[str, Any]]:
    """Per artifact of `quantize = "auto"` the layers in higher precision, and the price of each step to them."""
    told = []
    for item in manifest["artifacts"]:
        recipe = item["steps"][-1]["recipe"] if item["steps"] else {}
        if recipe.get("recipe") != "auto":
            continue
        steps = [
            {
                **step,
                "done": f"{step['done']} {step['layer'] or ''}".strip(),
                "size": "-" if step["bytes"] is None else table_rows.size(step["bytes"]),
                "latency": step["latency_reason"] or "-"
                if step["latency_ratio"] is None
                else table_rows.ratio_of_step(step),
            }
            for step in recipe["steps"]
        ]
        told.append({"id": item["id"], **recipe, "steps": steps})
    return told


def _temperature(output: str, figures: Json) -> str:
    if figures["value"] is None:
        return f"confidence of '{output}' is shifted, no temperature: {figures['reason']}"
    return (
        f"confidence of '{output}' is repaired by softmax(z / T), T = {figures['value']:.3g}: calibration error "
        f"{figures['ece']:.2%} becomes {figures['ece_repaired']:.2%}"
    )
