import copy
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from rich.console import Console

from edgeship.benchmarks.compare import accuracy
from edgeship.benchmarks.gate.budget import Budget
from edgeship.benchmarks.gate.gate import judge
from edgeship.benchmarks.report import flipped_samples, html_report, junit, markdown, table_rows, terminal_table
from edgeship.bundle.figures.measurement import LatencyRatio
from edgeship.bundle.manifest import parse_manifest
from edgeship.bundle.mixed_precision import MixedPrecisionStep
from edgeship.types import to_json
from tests.present import present


@pytest.fixture
def judged(manifest):
    """A bundle in which one artifact failed, one was not run, and the rest passed."""
    absent = next(item for item in manifest["measurements"] if item["artifact"] == "tfjs/float32")
    absent["details"] = {}
    for metric in absent["metrics"]:
        if not metric["name"].startswith("size"):
            metric.update(value=None, availability="not_run", reason="not run: node is missing")
    budget = Budget.parse({"optional": ["tfjs/*"], "max_size_disk": 574_000})
    manifest["gate"] = to_json(judge(parse_manifest(manifest), budget))
    return manifest


def shown(renderable, width=200):
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(renderable)
    return console.export_text()


def test_table_shows_figures_reasons_and_verdict(judged):
    text = shown(terminal_table.render_results(parse_manifest(judged), 200, wide=True))
    line = next(line for line in text.splitlines() if line.startswith("tflite/int8"))
    assert re.search(
        r"PASS +litert +152 KB +122 KB .* 91\.60 % .*\+0\.20 \[-0\.41, \+0\.83\] pt +98\.00 % +[0-9.]+ dB +measured",
        line,
    )
    assert "server model" in text
    assert "- [1]" in text
    assert "[1] not run: node is missing" in text
    assert "gate: FAIL" in text
    assert "FAIL tfjs/float32, size on disk" in text


@pytest.mark.parametrize(("width", "tables"), [(200, 1), (120, 1), (80, 2)])
def test_a_narrow_terminal_gets_several_tables_that_fit(judged, width, tables):
    text = shown(terminal_table.render_results(parse_manifest(judged), width), width)
    assert len([line for line in text.splitlines() if line.startswith("tflite/int8")]) == tables
    assert "…" not in text
    assert "98.00 %" in text


def test_what_is_printed_takes_120_columns_whatever_the_names(judged, capsys):
    judged["measurements"][1]["device"] = "raspberry-pi-5-in-the-second-rack-from-the-left"
    judged["gate"]["verdict"] = judged["gate"]["checks"][1]["verdict"] = "INCONCLUSIVE"
    long = "tflite/student-of-half-width-pruned70-clustered16-int8"
    for item in (*judged["artifacts"], *judged["measurements"], *judged["gate"]["checks"]):
        for key in ("id", "artifact"):
            if item.get(key) == "tflite/int8":
                item[key] = long
    for item in judged["artifacts"]:
        item["variant"] = item["id"].partition("/")[2]
    for show in (
        terminal_table.print_results,
        terminal_table.print_artifacts,
        lambda manifest: terminal_table.print_checks(manifest.gate),
    ):
        show(parse_manifest(judged))
        text = capsys.readouterr().out
        assert max(map(len, text.splitlines())) <= 120
        assert "…" not in text
        column = "".join(line[:40].split("  ")[0].strip() for line in text.splitlines())
        assert long in column, "folded, and all of it there"


def test_the_table_speaks_in_words_and_wide_has_the_rest(judged):
    text, wide = (
        shown(terminal_table.render_results(parse_manifest(judged))),
        shown(terminal_table.render_results(parse_manifest(judged), 240, wide=True), 240),
    )
    for jargon in ("ES", "p50", "wire", "sure_flips", "early", "agreement"):
        assert jargon not in text.partition("gate:")[0]
    assert "more columns" in text
    assert "MLPerf's early-stopping estimate" in " ".join(wide.split())
    assert "more columns" not in wide
    assert max(map(len, wide.splitlines())) > 120


def test_an_interval_stands_below_its_figure_where_room_is_short(judged):
    for item in judged["measurements"]:
        for metric in item["metrics"]:
            if metric["name"] == "accuracy_drop" and item["artifact"] == "tflite/int8":
                item["details"]["accuracy"].update(drop=-0.0123, low=-0.0217, high=-0.0101)
    lines = shown(terminal_table.render_results(parse_manifest(judged)), 120).splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("tflite/int8"))
    assert "-1.23 pt" in lines[at]
    assert "[-2.17, -1.01]" in lines[at + 1]


def test_busy_moments_share_one_note(judged):
    for number, item in enumerate(judged["measurements"]):
        for metric in item["metrics"]:
            if metric["name"] == "latency_p50_ms":
                reason = f"unstable: a calibration loop varies by {number + 20}%"
                metric.update(value=None, availability="unstable", reason=reason)
    assert len([note for note in table_rows.build(parse_manifest(judged)).notes if note.startswith("unstable")]) == 1


def test_an_unmeasured_bundle_has_a_table_too(manifest):
    manifest.update(measurements=[], server_measurement=None, gate=None)
    text = shown(terminal_table.render_results(parse_manifest(manifest)))
    assert "not measured" in text
    assert "gate" not in text


def test_artifacts_as_converted(manifest, capsys):
    terminal_table.print_artifacts(parse_manifest(manifest))
    text = capsys.readouterr().out
    assert "image float32 ?x28x28x1" in text
    assert "skipped tfjs/int8: TF.js has no int8 inference" in text


def test_text_with_brackets_is_not_taken_for_markup(judged, capsys):
    judged["gate"]["checks"][0]["reason"] = "made by [/red] x[0]"
    terminal_table.print_checks(present(parse_manifest(judged).gate))
    assert "[/red] x[0]" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("value", "text"),
    [(12, "12 B"), (152_000, "152 KB"), (1_234_567, "1.23 MB"), (999_700, "1,000 KB"), (2.5e9, "2.5 GB")],
)
def test_sizes(value, text):
    assert table_rows.size_text(value) == text


def test_times_have_the_digits_that_are_known():
    times = (0.0512, 0.1123, 0.512, 51.23, 999.7, 1234, 5123)
    assert [table_rows.milliseconds_text(value) for value in times] == [
        "51 µs", "0.112 ms", "0.51 ms", "51 ms", "1000 ms", "1.23 s", "5.1 s"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        ((0.7031, 0.7089), "0.71 [0.70, 0.71]"),
        ((0.68, 0.73), "0.71 [0.68, 0.73]"),
        ((0.5, 0.9), "0.7 [0.5, 0.9]"),
        ((0.1, 5.1), "1 [0, 5]"),
    ],
)
def test_a_ratio_has_the_decimals_that_its_interval_leaves_known(interval, text):
    assert table_rows._ratio_text(0.7061, LatencyRatio(0.7061, *interval)) == text
    step = MixedPrecisionStep("keep", "dense", 1, True, latency_ratio=0.7061, latency_interval=interval)
    assert table_rows.latency_of_step(step) == text.partition(" ")[0]


def test_a_ratio_without_interval_is_told_roughly():
    step = MixedPrecisionStep("plain", None, 0, True, latency_ratio=0.7061)
    assert table_rows.latency_of_step(step, "x") == "0.71x"
    assert table_rows.latency_of_step(replace(step, latency_ratio=None, latency_reason="busy"), "x") == "busy"


def test_an_emulated_figure_says_so(judged):
    item = judged["measurements"][1]
    for metric in item["metrics"]:
        metric["kind"] = "emulated"
    item["device"] = "pi4"
    row = next(row for row in table_rows.build(parse_manifest(judged)).rows if row.get("runtime", "").endswith("pi4"))
    assert (row["runtime"], row["kind"]) == ("litert @ pi4", "emulated")


def test_a_runtime_that_never_ran_is_not_judged_by_the_origin_of_its_artifact(judged):
    ran = next(item for item in judged["measurements"] if item["artifact"] == "tflite/int8")
    idle = copy.deepcopy(ran) | {"runtime": "tflite-runtime"}
    for metric in idle["metrics"]:
        if not metric["name"].startswith("size"):
            metric.update(value=None, reason="not run: it is not installed", availability="not_run")
    idle["details"] = {"content": ran["details"]["content"]}
    judged["measurements"].append(idle)
    rows = table_rows.build(parse_manifest(judged)).rows
    verdicts = {row.get("runtime"): row["verdict"] for row in rows if row["artifact"] == "tflite/int8"}
    assert verdicts == {"litert": "PASS", "tflite-runtime": "NOT JUDGED"}


def test_junit_counts_what_failed(judged):
    root = ElementTree.fromstring(junit.render(parse_manifest(judged)))
    checks = judged["gate"]["checks"]
    open_ones = [check for check in checks if check["verdict"] != "PASS"]
    left_out = judged["gate"]["not_judged"]
    assert int(root.attrib["tests"]) == len(checks) + len(left_out)
    assert int(root.attrib["failures"]) == len(open_ones) == len(root.findall(".//failure"))
    assert int(root.attrib["skipped"]) == len(left_out)
    assert {item.get("type") for item in root.iter("failure")} == {"FAIL", "INCONCLUSIVE"}


def test_markdown_is_verdict_first_and_escapes(judged):
    judged["gate"]["checks"][0]["reason"] = "a | b <script>\nnew line"
    text = markdown.render(parse_manifest(judged))
    assert text.startswith("## ❌ FAIL edgeship gate")
    assert r"a \| b &lt;script> new line" in text
    assert "| tflite/int8 | ✅ PASS |" in text


class Page(HTMLParser):
    """What a page refers to, its tags and its text."""

    def __init__(self, text):
        super().__init__()
        self.links, self.tags, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value for name, value in attributes if name in {"src", "href", "xlink:href", "srcset", "action"}]

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def page(judged, tmp_path):
    rng = np.random.default_rng(0)
    flipped_samples.write_samples(
        tmp_path, parse_manifest(judged), ({"image": rng.random((50, 28, 28, 1))} for _ in range(40))
    )
    return Page(html_report.write_report(tmp_path, parse_manifest(judged)).read_text())


def test_report_is_self_contained(page):
    assert "script" not in page.tags
    assert "link" not in page.tags
    assert all(link.startswith(("data:image/png;base64,", "#")) for link in page.links)


def test_report_tells_everything(page, judged):
    for text in ("FAIL", "server.keras", "4.1 ms", "NOT JUDGED", "not run: node is missing", "ankle boot", "quantize"):
        assert text in page.text
    assert judged["server_model"]["digest"] in page.text
    assert page.tags.count("svg") >= 5
    assert page.tags.count("img") >= 12


def test_report_escapes_what_others_wrote(judged, tmp_path):
    judged["labels"] = ["<img src=x onerror=alert(1)>"] * 10
    judged["server_model"]["notes"] = ["<script>alert(1)</script>"]
    judged["gate"]["checks"][0].update(verdict="FAIL", reason="<b>bold</b>")
    found = Page(html_report.render(tmp_path, parse_manifest(judged)))
    assert "script" not in found.tags
    assert "<b>bold</b>" in found.text
    assert all(link.startswith(("data:", "#")) for link in found.links)


def test_report_plots_follow_the_page_colours(judged, tmp_path):
    text = html_report.render(tmp_path, parse_manifest(judged))
    drawn = "".join(re.findall(r"<svg.*?</svg>", text, re.DOTALL))
    assert "var(--s0)" in drawn
    assert "currentColor" in drawn
    assert not re.findall(r"(?:fill|stroke): #(?!fff)", drawn)


def test_a_bundle_without_measurements_has_a_report(manifest, tmp_path):
    manifest.update(measurements=[], server_measurement=None, gate=None, labels=None)
    assert "Nothing has been judged yet" in html_report.render(tmp_path, parse_manifest(manifest))


def test_the_same_manifest_gives_the_same_report(judged, tmp_path):
    assert html_report.render(tmp_path, parse_manifest(judged)) == html_report.render(tmp_path, parse_manifest(judged))


@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        ((28, 28, 1), "image"), ((32, 48, 3), "image"), ((3, 32, 32), "image"), ((28, 28), "image"), ((128, 6), "curve"),
        ((16000,), "curve"), ((224, 224, 4), "image"), ((5,), "text"), ((), "text"), ((4, 4, 4, 4), "text"),
    ],
)  # fmt: skip
def test_samples_are_drawn_as_what_they_look_like(shape, kind):
    assert flipped_samples.draw_sample({"x": np.random.default_rng(0).random(shape)})[0] == kind


def test_of_several_inputs_the_one_that_can_be_seen_is_drawn():
    assert flipped_samples.draw_sample({"age": np.zeros(1), "photo": np.zeros((20, 20, 3))})[0] == "image"
    assert (
        flipped_samples.draw_sample({"age": np.array([3.0]), "weight": np.array([70.5])})[1] == "age: 3; weight: 70.5"
    )


def test_pictures_are_small_png():
    _, uri = flipped_samples.draw_sample({"x": np.random.default_rng(0).random((500, 400, 3)) * 255})
    assert uri.startswith("data:image/png;base64,iVBOR")
    assert len(uri) < 60_000


def test_kept_samples_are_those_of_the_flips(manifest, tmp_path):
    batches = [{"x": np.arange(start, start + 64, dtype=np.float32)[:, None]} for start in range(0, 2048, 64)]
    flipped_samples.write_samples(tmp_path, parse_manifest(manifest), iter(batches))
    kept = flipped_samples.read_samples(tmp_path)
    flips = flipped_samples.choose_flips(present(parse_manifest(manifest).measurements[1].details.accuracy).flips)
    assert len(flips) == flipped_samples.SHOWN
    assert all(kept[flip.index]["x"] == [flip.index] for flip in flips)
    assert flipped_samples.read_samples(tmp_path / "elsewhere") == {}


def test_kept_samples_are_bounded(manifest, tmp_path, monkeypatch):
    monkeypatch.setattr(flipped_samples, "LARGEST", 4 * 3)
    flipped_samples.write_samples(
        tmp_path, parse_manifest(manifest), [{"x": np.arange(2000, dtype=np.float32)[:, None]}]
    )
    assert len(flipped_samples.read_samples(tmp_path)) == 3


def test_the_manifest_is_json(judged):
    json.dumps(judged, allow_nan=False)


def several_outputs(manifest):
    """The bundle as if its model had a second output, with groups of samples; every measurement is of both."""
    rng = np.random.default_rng(0)
    truth, sizes, groups = rng.integers(3, size=400), rng.normal(size=(400, 1)), np.array(["north", "south"] * 200)
    server = {"kind": np.eye(3)[truth] * 0.8, "size": sizes + 0.1}
    labels = {"y_kind": truth, "y_size": sizes}
    for item in manifest["measurements"]:
        near = {"kind": server["kind"], "size": server["size"] + 0.01 * rng.normal(size=sizes.shape)}
        item["details"]["accuracy"] = to_json(accuracy.measure(labels, server, near, groups=groups))
    whole = accuracy.measure(labels, server, server)
    manifest["server_measurement"] = {
        "metric": whole.metric, "share": whole.share, "server": whole.server, "output": whole.output, "n": 400,
        "outputs": {
            name: {"metric": one.metric, "share": one.share, "server": one.server, "output": name}
            for name, one in whole.outputs.items()
        },
    }  # fmt: skip
    return parse_manifest(manifest)


def test_each_of_several_outputs_has_a_row_that_names_it(manifest):
    shown_manifest = several_outputs(manifest)
    rows = [row for row in table_rows.build(shown_manifest).rows if row["artifact"] == "tflite/int8"]
    assert [(row["output"], row["accuracy"].split()[0]) for row in rows] == [("kind", "top1"), ("size", "mae")]
    assert "p50" in rows[0] and "p50" not in rows[1]
    servers = [row for row in table_rows.build(shown_manifest).rows if row["artifact"] == "server model"]
    assert [row["output"] for row in servers] == ["kind", "size"]
    for text in (
        shown(terminal_table.render_results(shown_manifest, 200), 200),
        markdown.render(shown_manifest),
        html_report.render(Path(), shown_manifest, []),
    ):
        assert "kind" in text and "size" in text and "worst group" in text
    assert html_report.render(Path(), shown_manifest, []).count("Groups of samples") == 1


def test_a_narrow_table_repeats_only_rows_that_hold_something(manifest):
    text = shown(terminal_table.render_results(several_outputs(manifest), 80), 80)
    rows = [line.split() for line in text.splitlines() if line.startswith("tflite/int8")]
    assert all(len(row) > 3 for row in rows)


def test_why_a_metric_was_taken_stands_in_the_legend(manifest):
    for item in manifest["measurements"]:
        item["details"]["accuracy"].update(metric="f1", why="1 % of the labels are 1", outputs={})
    assert table_rows.build(parse_manifest(manifest)).legend().startswith("accuracy: f1 (1 % of the labels are 1); ")
