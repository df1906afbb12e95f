"""The card as one HTML file that needs nothing else: its Markdown, rendered by markdown-it, with the pictures inside."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Mapping

from edgeship.train.own_data.samples import Picture

# No script, nothing from elsewhere: names and values in a card are those of somebody's data.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
STYLE = """
:root { color-scheme: light dark; --line: #8884; --faint: #8889; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
h2 { margin-top: 2.2rem; }
table { border-collapse: collapse; display: block; overflow-x: auto; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
td:first-child { max-width: 22rem; }
img { max-width: 100%; background: #fff; } td img { min-width: 96px; max-width: 320px; image-rendering: pixelated; }
code { overflow-wrap: anywhere; }
"""


def render_html(markdown: str, title: str, pictures: Mapping[str, Picture]) -> str:
    """The page of a card's Markdown, which names the pictures as `![...](NAME)`; HTML in it is text."""
    from markdown_it import MarkdownIt

    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown)
    body = re.sub(r'src="([^"]*)"', lambda match: f'src="{_data_uri(pictures, html.unescape(match[1]))}"', body)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )


def _data_uri(pictures: Mapping[str, Picture], name: str) -> str:
    picture = pictures.get(name)
    return f"data:{picture.kind};base64,{base64.b64encode(picture.content).decode()}" if picture else ""
