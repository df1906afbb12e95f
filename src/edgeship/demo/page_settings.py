"""What a page is told when its site is written: JSON in its text, which its service worker knows by the digest of the whole."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from edgeship.errors import InputError
from edgeship.light_dataclass import dataclass
from edgeship.storage import digest
from edgeship.untrusted import printable

CONNECT = "connect-src 'self'"  # of the page's policy
_ORIGIN = re.compile(r"https?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")  # it becomes part of the policy


@dataclass(frozen=True)
class ReportsPlace:
    """Where a page may send reports to, and the sha256 of the manifest of the bundle that it is of, where that is known."""

    url: str
    bundle: str | None = None


def find_origin(url: str) -> str:
    """The origin of an address for reports. Raises InputError where it is none, or has a user or fragment."""
    try:
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        whole = bool(_ORIGIN.fullmatch(origin)) and parts.port != 0 and not parts.fragment and url.isprintable()
    except ValueError:
        whole = False
    if not whole:
        raise InputError(f"--reports: {printable(url)[:100]} is no address, as https://models.example.com/reports")
    return origin


def embed_reports(site: Path, place: ReportsPlace) -> None:
    """Let the page ask whether it may count and send, and its policy allow that. Raises InputError as `find_origin`."""
    origin = find_origin(place.url)
    embed_json(site, "reports-place", asdict(place))
    _change_page(site, CONNECT, f"{CONNECT} {origin}", "reports")


def place_of(name: str) -> str:
    """The text of a page in whose `null` a value goes."""
    return f'<script type="application/json" id="{name}">null</script>'


def embed_json(site: Path, name: str, value: dict[str, Any]) -> None:
    """Write a value into the place that the page has for it. Raises InputError for a page of an earlier edgeship."""
    place = place_of(name)
    content = json.dumps(value).replace("<", "\\u003c")  # a script's text ends at the first `</script`
    _change_page(site, place, place.replace("null", content), "channels" if name == "channel" else "reports")


def _change_page(site: Path, old: str, new: str, what: str) -> None:
    """Replace a part of the page's text; its digest in the service worker follows."""
    index, worker = site / "index.html", site / "sw.js"
    text, before = index.read_text(encoding="utf-8"), digest.of_path(index)
    if text.count(old) != 1:
        raise InputError(f"{printable(index)}: this page is of an earlier edgeship and knows no {what}; build it again")
    index.write_text(text.replace(old, new), encoding="utf-8")
    worker.write_text(worker.read_text(encoding="utf-8").replace(before, digest.of_path(index)), encoding="utf-8")
