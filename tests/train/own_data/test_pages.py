"""The card's pictures, and its page of HTML."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from edgeship.train.own_data.expectations import ThresholdPoint
from edgeship.train.own_data.page import failure_picture
from edgeship.train.own_data.pages import curves
from edgeship.train.own_data.pages.html_page import render_html
from edgeship.train.own_data.samples import Picture
from edgeship.train.own_data.search_results import Search, Trial
from edgeship.train.own_data.sources.sample_pictures import draw_pixels, draw_sound, draw_window
from tests.train.own_data.tables import write_table
from tests.train.own_data.test_files import SENSOR, read, sensor_rows, write_pictures, write_sounds

DICE = np.random.default_rng(9)


def pixels_of(picture: Picture) -> np.ndarray:
    assert picture.kind == "image/png"
    return np.asarray(Image.open(BytesIO(picture.content)))


def test_a_thumbnail_shows_the_models_picture() -> None:
    pixels = DICE.integers(0, 256, (12, 16, 3), np.uint8)
    shown = pixels_of(draw_pixels(pixels))
    assert shown.shape == (72, 96, 3)
    np.testing.assert_array_equal(shown[::6, ::6], pixels)
    grey = pixels_of(draw_pixels(DICE.random((100, 50, 1), np.float32)))
    assert grey.shape == (100, 50) and (grey.min(), grey.max()) == (0, 255)
    assert pixels_of(draw_pixels(np.ones((4, 4, 7), np.float32))).shape == (96, 96)


def test_windows_and_recordings_are_drawn() -> None:
    flat = pixels_of(draw_window(np.zeros((40, 2), np.float32)))
    moved = pixels_of(draw_window(DICE.normal(size=(40, 2)).astype(np.float32)))
    assert flat.shape == moved.shape and (flat != moved).any()
    tone = (9000 * np.sin(np.arange(4000) * 0.8)).astype(np.int16)
    assert (pixels_of(draw_sound(tone, 8000)) != pixels_of(draw_sound(np.zeros(4000, np.int16), 8000))).any()
    assert pixels_of(draw_sound(tone[:10], 8000)).size


def test_every_source_but_a_table_draws_its_samples(tmp_path: Path) -> None:
    write_table(tmp_path / "log.csv", SENSOR, sensor_rows())
    np.savez(tmp_path / "a.npz", x=DICE.random((9, 8, 8, 1)), y=np.arange(9) % 2)
    for data in (
        read(write_pictures(tmp_path / "pets")),
        read(write_sounds(tmp_path / "sounds")),
        read(tmp_path / "log.csv", "does", window=40),
        read(tmp_path / "a.npz"),
    ):
        picture = data.draw_row(3)
        assert picture is not None and pixels_of(picture).size, data.kind
    np.savez(tmp_path / "b.npz", x=np.arange(40.0).reshape(20, 2), y=np.arange(20) % 2)
    rows = read(tmp_path / "b.npz")
    assert rows.draw_row(3) is None and rows.show_row(3) == "6, 7"


def test_curves_are_svg_and_the_same_each_time() -> None:
    points = [ThresholdPoint(0.1, 40, 0, 0.9, 1.0), ThresholdPoint(0.9, 0, 300, None, 0.0)]
    trials = tuple(
        Trial(
            n,
            {"width": 1.0 + n, "batch": 8 * n + 8},
            1.0 - 0.1 * n,
            1.0,
            n > 2,
            (0.5,),
            None if n == 1 else 0.5 / (n + 1),
        )
        for n in range(4)
    )
    for draw in (
        lambda: curves.draw_thresholds(points, 0.5, "a $ <b>"),
        lambda: curves.draw_search(Search(trials, 2, 50, 1, 0.5, 0.2)),
    ):
        first, second = draw(), draw()
        assert first == second and first.kind == "image/svg+xml"
        assert ElementTree.fromstring(first.content).tag.endswith("svg")


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_a_page_holds_its_pictures_and_nothing_of_the_data_acts() -> None:
    picture = draw_pixels(np.zeros((8, 8, 1), np.uint8))
    text = f"# A <script>alert(1)</script>\n\n| a | b |\n| --- | --- |\n| ![s]({failure_picture(0)}) | <img src=http://x.y/z> |\n"
    page = render_html(text, "<b>", {failure_picture(0): picture})
    tags = Tags()
    tags.feed(page)
    names = [name for name, _ in tags.found]
    assert "script" not in names and "b" not in names and names.count("img") == 1 and "table" in names
    (source,) = (attrs["src"] or "" for name, attrs in tags.found if name == "img")
    assert base64.b64decode(source.removeprefix("data:image/png;base64,")) == picture.content
    assert not re.search(r'(src|href)="(?!data:)[^"]', page)


@pytest.mark.parametrize("name", ["![x](http://y.z/a.png)", "[x](http://y.z)", "<b>x</b>", "*x*_y_", "a|b", "# c"])
def test_names_of_the_data_are_text(name: str) -> None:
    from edgeship.train.card_page import markdown_table
    from edgeship.train.own_data.page import _cell

    page = render_html("\n".join(markdown_table(("class",), [(_cell(name),)])), "t", {})
    tags = Tags()
    tags.feed(page)
    assert not {"img", "a", "b", "em", "h1"} & {tag for tag, _ in tags.found}
    assert re.sub(r"<[^>]*>", "", page.partition("<td>")[2].partition("</td>")[0]).strip() in (
        name, name.replace("<", "&lt;").replace(">", "&gt;"),
    )  # fmt: skip
