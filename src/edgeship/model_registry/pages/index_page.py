"""A static page of all versions, with a link to the report of each: for a browser, without a server."""

from __future__ import annotations

import html
import shutil
from collections.abc import Sequence
from pathlib import Path

from edgeship.bundle.metric import number_text
from edgeship.errors import InputError
from edgeship.model_registry.store import Store
from edgeship.model_registry.version import Version
from edgeship.storage import atomic
from edgeship.untrusted import printable

REPORT = "report/index.html"
INDEX, REPORTS = "index.html", "reports"
MARK = "<!-- edgeship registry -->"
FIGURES = ("accuracy.server", "accuracy", "accuracy_drop", "size_disk_bytes", "latency_p50_ms")
STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color-scheme:light dark}"
    "table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.35rem .6rem;border-bottom:1px solid #8884}"
    "td.n{text-align:right;font-variant-numeric:tabular-nums}"
)


def write_index(store: Store, names: Sequence[str], out: Path) -> Path:
    """Write the folder `out` with `index.html` and the reports, and return the page's path; a folder of this kind is replaced.

    Raises InputError where something else lies there.
    """
    page = out / INDEX
    if out.exists() and not (page.is_file() and MARK in page.read_text(encoding="utf-8", errors="replace")):
        raise InputError(f"{printable(out)}: exists and is no page of a registry; choose another --out")
    if others := sorted({path.name for path in out.iterdir()} - {INDEX, REPORTS}) if out.exists() else []:
        raise InputError(
            f"{printable(out)}: holds {printable(others[0])}, too, which would be lost; choose another --out"
        )
    with atomic.atomic_folder(out.absolute()) as draft:
        draft.mkdir()
        tables = [_render_name(store, name, draft) for name in names]
        title = f"edgeship registry {html.escape(str(store.place))}"
        head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
        body = "".join(tables) or "<p>No version yet: edgeship registry add BUNDLE --name NAME</p>"
        (draft / INDEX).write_text(f"{head}{MARK}<h1>{title}</h1>{body}</html>\n", encoding="utf-8")
    return page


def _render_name(store: Store, name: str, draft: Path) -> str:
    rows = "".join(_render_row(store, row, draft) for row in reversed(store.versions(name)))
    heads = "".join(
        f"<th>{title}</th>" for title in ("version", "verdict", "stands for it", *FIGURES, "added", "report")
    )
    return f"<h2>{html.escape(name)}</h2><table><tr>{heads}</tr>{rows}</table>"


def _render_row(store: Store, row: Version, draft: Path) -> str:
    record = row.record
    version = f"{row.number} {' '.join(row.aliases)}".strip()
    figures = [record.figures.get(name) for name in FIGURES]
    cells = [f"<td>{_text(text)}</td>" for text in (version, record.verdict or "not judged", record.artifact)]
    cells += [f'<td class="n">{"" if value is None else _text(number_text(value))}</td>' for value in figures]
    content = store.manifest(row).files.get(REPORT)
    link = "-"
    if content:
        target = draft / REPORTS / f"{row.name}-{row.number}.html"
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(store.files.find(content), target)
        link = f'<a href="{REPORTS}/{html.escape(target.name)}">report</a>'
    return f"<tr>{''.join(cells)}<td>{_text(record.added)}</td><td>{link}</td></tr>"


def _text(text: str) -> str:
    return html.escape(printable(text))
