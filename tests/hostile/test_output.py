"""What strangers write never steers a terminal, breaks XML, or acts in Markdown and HTML: any text in every place for it."""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import io
import itertools
import os
import re
import sys
import tomllib
import unicodedata
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.console import Console

from edgeship import api, cli, progress, terminal, untrusted
from edgeship.benchmarks.gate.budget import Budget
from edgeship.benchmarks.gate.gate import judge
from edgeship.benchmarks.report import html_report, junit, markdown, plots, terminal_table
from edgeship.benchmarks.report.layers import layer_table
from edgeship.bundle.figures.comparisons import CandidateFigures, LayerErrors, LayerSensitivity
from edgeship.bundle.figures.device_figures import Cell, CellState, ParityMatrix
from edgeship.bundle.figures.measurement import MeasurementDetails
from edgeship.bundle.manifest import parse_manifest
from edgeship.bundle.metric import Metric
from edgeship.bundle.verdict import ArtifactReason, FailedArtifact
from edgeship.cli.bundles.verify import print_replays
from edgeship.errors import EdgeshipError
from edgeship.pipeline import init_config, verify
from edgeship.pipeline.run_settings.first_measurement import FirstMeasurement
from edgeship.server_model.description import ServerModelDescription
from edgeship.settings.config import Config
from edgeship.types import Availability, Kind, TensorSpec, Verdict, to_json
from tests.benchmarks.conftest import _write_files, build_manifest
from tests.hostile.bundles import sealed_bundle

HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
# What Unicode calls letters, marks and symbols, and nobody can see: fillers of Hangul, Khmer, Mongolian, Braille and others.
BLANK = "\u115f\u1160\u3164\uffa0\u2800\u034f\u17b4\u17b5\u180b\u180f\ufe00\ufe0f\U0001d159\U000e0100\U000e01ef"
ATTACKS = (
    "\x1b]0;owned\x07\x1b[2J\x1b[31mPASS",
    "\x9b31mred\x00\ufffe\ud800",
    "\u202egnp.live\u2066",
    f"float32{BLANK}x{BLANK}\U000e0041\u200d",
    "[bold red]x[/] [/nothing] [link=https://evil.example]y[/link] :smile:",
    "first\n  gate: PASS (30 of 30 checks passed)\r::error::x",
    "![x](https://evil.example/a.png) [y](javascript:alert(1)) <https://evil.example> https://evil.example www.evil.example",
    "@everyone #1 GH-12 owner/name#3 someone@evil.example mailto:a@evil.example",
    "a | b \\| c \\\\| d `code` **bold** _em_ ~~no~~ $x$",
    ']]> <script>alert(1)</script> "><img src=x onerror=alert(1)> &lt; -->',
    "</svg><style>*{display:none}</style>",
    "$\\frac{$ $_^ \\1 \\g<0>",
    "__0_ a__b_c__",
)
TEXTS = (
    st.text(min_size=1, max_size=60)
    | st.sampled_from(ATTACKS)
    | st.lists(st.sampled_from(ATTACKS), min_size=2).map("".join)
)


def every_attack(test):
    for text in ATTACKS:
        test = example(text)(test)
    return settings(
        max_examples=40,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )(given(TEXTS)(test))


@pytest.fixture(scope="module")
def whole():
    """The manifest that the tests of benchmarks make up, judged."""
    manifest = parse_manifest(build_manifest())
    budget = Budget.parse({"optional": ["tfjs/*"], "max_size_disk": 574_000})
    return replace(manifest, gate=judge(manifest, budget))


def spoil(whole, text):
    """The manifest with the text wherever a stranger may write one and edgeship shows it."""
    name, first = untrusted.printable(text)[:900], f"tflite/{text}"  # names in bundles are printable
    cell = Cell(CellState.FAILED, text, text, explanation=text)
    figures = CandidateFigures(sqnr_db=3.0, drop=0.1, share=True, metric=text, reason=text)
    layer = LayerErrors(text, (text,), 1, 3.0, 0.0, 1.0, figures, figures)
    return replace(
        whole,
        artifacts=tuple(spoiled_artifact(item, f"{number}{name}") for number, item in enumerate(whole.artifacts)),
        measurements=tuple(
            spoiled_measurement(item, first, text, cell if number % 2 else None)
            for number, item in enumerate(whole.measurements)
        ),
        gate=replace(
            whole.gate,
            checks=tuple(
                replace(item, artifact=first, runtime=text, device=text, reason=text, check=text, verdict=verdict)
                for item, verdict in zip(whole.gate.checks, itertools.cycle(Verdict), strict=False)
            ),
            not_judged=(ArtifactReason(first, text),),
        ),
        skipped=(ArtifactReason(first, text),),
        failures=(FailedArtifact(first, text, text, (text,), text),),
        labels=(text,) * 10,
        server_model=replace(whole.server_model, path=name, notes=(text,)),
        machine={text: text},
        tools={text: text},
        matrix=ParityMatrix((text,), {text: Kind.EMULATED}, (first,), {first: {text: cell}}),
        debug={first: LayerSensitivity(first, "ab" * 32, 3, figures, figures, (layer,))},
    )


def spoiled_artifact(item, name):
    inputs, outputs = ([replace(spec, name=name) for spec in specs] for specs in (item.inputs, item.outputs))
    parts = {"variant": name, "id": f"{item.format}/{name}", "path": name}
    return replace(item, **parts, inputs=tuple(inputs), outputs=tuple(outputs))


def spoiled_measurement(item, artifact, text, cell):
    missing = Metric("load_ms", None, "ms", availability=Availability.FAILED, reason=text)
    metrics = tuple(missing if metric.name == "load_ms" else metric for metric in item.metrics)
    details = replace(item.details, cell=cell)
    return replace(item, artifact=artifact, runtime=text, device=text, metrics=metrics, details=details)


def quiet(text):
    """Nothing in it steers a terminal: nothing but line ends among what is invisible."""
    plain = re.sub("[⚠⏭]\ufe0f", "", text)  # our own marks
    strange = [char for char in plain if char != "\n" and (unicodedata.category(char) in HIDDEN or char in BLANK)]
    assert not strange, repr(text)
    return text


@pytest.mark.parametrize("blank", [*BLANK, "\u180e", "\u200d", "\U000e0041", "\U000e0fff", "\U00016fe4", "\u2065"])
def test_a_character_that_nobody_sees_is_written_as_an_escape(blank):
    for text in (blank, f"int8{blank}", f"{blank}{blank}x"):
        assert untrusted.printable(text) == text.replace(blank, blank.encode("unicode_escape").decode())
        assert blank not in untrusted.printable_value([text])[0]


def test_letters_and_emoji_of_labels_stay():
    for text in ("Fußgänger", "犬\u3000", "한국어", "हिन्दी", "ไทย", "עברית", "❤\ufe0f 🐈 ⚠\ufe0f"):
        assert untrusted.printable(text) == untrusted.printable_value(text) == text
    assert untrusted.printable("⚠\ufe0f\ufe0f") == "⚠\ufe0f\\ufe0f"


def test_endless_texts_are_shown_by_their_ends(whole, tmp_path, capsys):
    manifest = spoil(whole, "begin" + "a[b]<" * 200_000 + "end")
    terminal_table.print_results(manifest)
    terminal_table.print_checks(manifest.gate)
    terminal_table.print_artifacts(manifest)
    print_replays(api.Verification((verify.Replay("x" * 10**6, "r", False, None, "y" * 10**6),), ""))
    texts = [capsys.readouterr().out, junit.render(manifest), markdown.render(manifest)]
    texts.append(html_report.render(tmp_path, manifest, []))
    places = [len(text) / 1000 for text in texts]
    assert all(place < 1500 for place in places), places
    assert "begin" in texts[0]


@every_attack
def test_the_terminal(whole, capsys, text):
    manifest = spoil(whole, text)
    terminal_table.print_results(manifest)
    terminal_table.print_results(manifest, wide=True)
    terminal_table.print_checks(manifest.gate)
    terminal_table.print_artifacts(manifest)
    layer_table.print_layers(next(iter(manifest.debug.values())))
    print_replays(api.Verification((verify.Replay(text, text, False, None, text),), ""))
    with progress.Progress() as steps:
        steps.note(text)
        with steps.step(text) as remarks:
            remarks.append(text)
    terminal.make_console().print("text:", text.replace("\n", " "))
    with pytest.raises(SystemExit):
        cli.exit_with_error(text, 2)
    printed = capsys.readouterr()
    quiet(printed.out)
    quiet(printed.err)
    assert "\n  gate: PASS (" not in printed.out, "a line of our own was made up"


@every_attack
def test_a_terminal_gets_our_own_colours_only(text):
    stream = io.StringIO()
    out = terminal.PlainConsole(file=stream, force_terminal=True, color_system="standard", width=100)
    out.print(terminal.make_table([terminal.Column(text, folds=True)], [[text]], 100), text)
    quiet(re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue()))
    assert "\x1b]" not in stream.getvalue()


@pytest.mark.parametrize("text", ["[bold]x[/bold]", "[/red]", "[link=https://evil.example]y[/link]", ":smile:"])
def test_brackets_are_text(text, capsys):
    print_replays(api.Verification((verify.Replay(f"tflite/{text}", "litert", False, None, text),), ""))
    with progress.Progress() as steps, steps.step(text) as remarks:
        remarks.append(text)
    terminal.make_console().print(text)
    printed = capsys.readouterr()
    assert printed.out.count(text) >= 2 and printed.err.count(text) == 2


@every_attack
def test_junit_is_well_formed(whole, text):
    root = ElementTree.fromstring(junit.render(spoil(whole, text)))
    quiet("".join(root.itertext()))
    assert len(list(root.iter("testcase"))) == len(whole.gate.checks) + 1


PLAIN = MarkdownIt("gfm-like", {"linkify": False}) if importlib.util.find_spec("linkify_it") else MarkdownIt("commonmark").enable(["table", "strikethrough"])  # fmt: skip # noqa: E501


@every_attack
def test_markdown_acts_nowhere(whole, text):
    written = markdown.render(spoil(whole, text))
    quiet(written)
    tokens = [inner for token in PLAIN.parse(written) for inner in (token, *(token.children or ()))]
    kinds = {token.type for token in tokens}
    assert not kinds & {"image", "link_open", "code_inline", "em_open", "s_open", "fence", "code_block"}, written
    html = {token.content.strip() for token in tokens if token.type in ("html_block", "html_inline")}
    assert html <= {"<details><summary>All checks</summary>", "</details>", "<sub>", "</sub>"}, html
    shown = "\n".join(token.content for token in tokens if token.type == "text")
    assert not re.search(r"@\w|#\w|://|www\.|GH-\d|mailto:", shown), shown
    tables = [token for token in tokens if token.type == "tr_open"]
    assert len(tables) == 2 + written.count("\n| ") - 4 + 2, "every row is a row"


def test_plots_have_an_end(whole, monkeypatch):
    """However many artifacts, devices, outputs and layers a manifest tells of, and whatever they are called."""
    item = next(item for item in whole.measurements if item.details.parity)
    figures = CandidateFigures(sqnr_db=3.0, drop=0.1)
    layer = LayerErrors("x", sqnr_db=3.0, only_layer_int8=figures, only_layer_float=figures)
    sensitivity = LayerSensitivity("x" * 5000, "ab" * 32, 3, figures, figures, (layer,) * 200)
    many = tuple(replace(item, artifact=f"tflite/{number}{'x' * 900}") for number in range(101))
    monkeypatch.setattr(plots, "PLOTS", 5)
    monkeypatch.setattr(plots, "_plot_classes", lambda *_: None)
    drawn = plots.all_plots(replace(whole, measurements=many, debug={str(number): sensitivity for number in range(9)}))
    assert len(drawn) == 5 and max(map(len, drawn)) < 300_000
    assert "the 100 worst of 101" in drawn[2] and "the 100 first of 101" in drawn[0]
    assert "x" * 100 not in "".join(drawn)
    assert drawn[3].count(">x</text>") <= 30

    details = MeasurementDetails(cell=Cell(CellState.CLOSE, "x", "", Kind.SIMULATED))
    devices = tuple(replace(item, device=f"device {number}", details=details) for number in range(41))
    picture = plots._plot_matrix(replace(whole, measurements=devices))
    assert picture and "the first 1 artifacts and 40 devices" in picture and "device 40" not in picture


def test_pictures_of_flips_have_an_end(whole):
    item = next(item for item in whole.measurements if item.details.accuracy.flips)
    groups = html_report.group_flips(replace(whole, measurements=(item,) * 70), {})
    assert len(groups) == 50 and groups == html_report.group_flips(replace(whole, measurements=(item,) * 50), {})


class Page(HTMLParser):
    """The tags of a page, and what they refer to."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.handlers = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        for name, value in attributes:
            self.handlers += [name] if name.startswith("on") else []
            self.links += (
                [value] if name in {"src", "href", "xlink:href", "srcset", "action", "formaction", "style"} else []
            )


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(TEXTS)
@example(ATTACKS[0] + ATTACKS[1] + ATTACKS[8] + ATTACKS[9] + ATTACKS[10])
@example(ATTACKS[5] + ATTACKS[10])
def test_the_report_is_a_page_of_text(whole, tmp_path_factory, text):
    written = html_report.render(tmp_path_factory.mktemp("report"), spoil(whole, text))
    page = Page(written)
    assert not {"script", "a", "iframe", "object", "embed", "form", "base"} & {*page.tags}
    assert page.tags.count("meta") == 4 and page.tags.count("style") <= 1 + page.tags.count("svg")
    assert not page.handlers
    assert not [link for link in page.links if re.match(r"\s*(?:https?:|javascript:|//)", link)]
    assert "default-src 'none'" in written and "base-uri 'none'" in written
    quiet(written.replace("\t", ""))
    assert written.encode()


def test_samples_that_a_bundle_brings(tmp_path):
    (tmp_path / "report").mkdir()
    from edgeship.benchmarks.report import flipped_samples
    from edgeship.errors import InputError

    for arrays in ({"x": np.ones(3)}, {"index": np.arange(3), "input:x": np.ones(2)}, {"index": np.array(3)}):
        np.savez(tmp_path / flipped_samples.FILE, **arrays)
        with pytest.raises(InputError, match=r"samples\.npz"):
            flipped_samples.read_samples(tmp_path)


def test_a_plain_console_is_rich_s_own_otherwise():
    one, other = io.StringIO(), io.StringIO()
    for stream, kind in ((one, terminal.PlainConsole), (other, Console)):
        kind(file=stream, width=80).print(terminal.make_table([terminal.Column("a", right=True)], [["1"], ["two"]], 80))
    assert one.getvalue() == other.getvalue()


@pytest.mark.parametrize("name", ["data 🐈", 'a"b', "back\\slash", "x\x7fy", "x\ny = 1", "\u202e"])
def test_a_configuration_names_data_in_any_folder(name, tmp_path):
    """`init` writes what the files are called, and what it writes says just that."""
    spec = TensorSpec("x", (None, 4), "float32")
    (tmp_path / name).mkdir()
    (tmp_path / name / "train.npz").touch()
    written = init_config._fill_template(
        tmp_path / name / "m.keras", tmp_path, ServerModelDescription((spec,), (spec,)), {}, FirstMeasurement()
    )
    config = tomllib.loads(written.encode().decode())
    assert config["data"] == {"train": f"{name}/train.npz"} and config["model"] == {}


STEERING = "d\x1b]0;owned\x07\u202e"


@pytest.mark.parametrize(
    "arguments",
    [
        ("report", STEERING), ("gate", "x", "--junit", STEERING), (STEERING,), ("gate", "--" + STEERING), ("gate", "x", STEERING),
        ("convert", f"{STEERING}/m.keras", "--out", STEERING), ("init", f"{STEERING}/m.keras"), ("inspect", STEERING),
        ("demo", "x", "--port", STEERING), ("report", "bundle", "--out", f"{STEERING}.html"),
    ],
)  # fmt: skip
def test_paths_of_the_command_line(arguments, whole, tmp_path, monkeypatch, capsys):
    """A cloned folder may be called anything, and the shell completes its name."""
    (tmp_path / STEERING).mkdir()
    (tmp_path / "bundle").mkdir()
    _write_files(tmp_path / "bundle", to_json(whole))
    sealed_bundle.seal(tmp_path / "bundle", to_json(whole))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(html_report, "draw_plots", lambda _: [])
    monkeypatch.setattr(sys, "argv", ["edgeship", *arguments])
    with pytest.raises(SystemExit):
        cli.main()
    printed = capsys.readouterr()
    quiet(printed.out)
    quiet(printed.err.replace("\x1b[31m\x1b[1merror:\x1b[0m", ""))
    assert printed.out + printed.err


def test_letters_that_standard_output_lacks(whole, tmp_path, monkeypatch):
    """As in a pipe on Windows: they are written as escapes, and nothing ends in a traceback."""
    manifest = to_json(replace(whole, measurements=tuple(replace(item, device="猫") for item in whole.measurements)))
    (tmp_path / "bundle").mkdir()
    _write_files(tmp_path / "bundle", manifest)
    sealed_bundle.seal(tmp_path / "bundle", manifest)
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "argv", ["edgeship", "gate", str(tmp_path / "bundle")])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    stream.flush()
    assert ended.value.code in (0, 1) and b"\\u732b" in stream.buffer.getvalue()


def test_a_value_of_a_configuration_that_is_told(tmp_path, capsys):
    """An old key is named on standard error, with its value."""
    path = tmp_path / "edgeship.toml"
    path.write_text('[variants.int8]\ncalibration = "\\u001b]0;owned\\u0007\\u202e"\n')
    with contextlib.suppress(EdgeshipError):
        Config.read(path)
    warning = capsys.readouterr().err
    assert "is now called calibration_method" in quiet(warning)


def test_every_text_of_a_file_or_a_tool_is_utf_8():
    """Whatever the system's own encoding is: a name in it that this encoding lacks would end a command, or become another."""
    places = []
    walked = os.walk(Path(cli.__file__).parents[1], followlinks=True)
    for path in {Path(folder, name).resolve() for folder, _, names in walked for name in names}:
        if path.suffix != ".py" or "node_modules" in path.parts:
            continue
        calls = [node for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, ast.Call)]
        # What a tool says may hold names of a model, in no encoding at all.
        places += [
            f"{path.name}:{call.lineno}"
            for call in calls
            if "text" in {item.arg for item in call.keywords} and ast.unparse(call.func) == "subprocess.run"
        ]
        places += [
            f"{path.name}:{call.lineno}"
            for call in calls
            if isinstance(call.func, ast.Attribute)
            and call.func.attr in ("read_text", "write_text")
            and ast.unparse(call.func.value) != "options"
            and "encoding" not in {keyword.arg for keyword in call.keywords}
        ]
    assert not places
