"""The comparison as one HTML file that needs nothing else."""

from __future__ import annotations

from pathlib import Path

from edgeship.serving.worth.report.pictures import draw_pictures
from edgeship.serving.worth.report.table import describe_worth
from edgeship.serving.worth.result import Worth
from edgeship.untrusted import printable, printable_value


def render_page(worth: Worth) -> str:
    """The HTML, pictures included."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template("page.html").render(
        model=printable(worth.model),
        text=describe_worth(worth),
        # Matplotlib escapes every text in what it draws.
        pictures=[Markup(picture) for picture in draw_pictures(printable_value(worth))],  # noqa: S704
    )
