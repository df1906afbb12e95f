"""Telling the end of a job to an address that the server's owner allows."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from edgeship.errors import InputError
from edgeship.serving.rest.host.jobs.store import Job

SECONDS = 10.0
PAUSES = (1.0, 5.0)  # before the second and the third attempt
LONGEST = 2000


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """An address that is allowed does not lead to one that is not."""

    def redirect_request(self, *_: Any) -> None:
        return None


OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)


def check_callback(url: str, hosts: tuple[str, ...]) -> str:
    """The address. Raises InputError unless it is of HTTP, and at one of these hosts (HOST or HOST:PORT, as they stand there)."""
    try:
        parts = urlsplit(url)
        place = parts.netloc.lower()
        parts.port  # noqa: B018  # raises for what is none
    except ValueError as error:
        raise InputError("callback: is no address") from error
    if len(url) > LONGEST or parts.scheme not in ("http", "https") or not url.isascii() or not url.isprintable():
        raise InputError("callback: must be an http or https address")
    if place not in {host.lower() for host in hosts}:
        raise InputError("callback: its host is not allowed (--callback-host)")
    return url


def tell_end(job: Job) -> bool:
    """POST the job's id and state; whether somebody took it (2xx). It may hear of it twice, where the server ends in between."""
    body = json.dumps({"id": job.id, "state": job.state}).encode()
    headers = {"content-type": "application/json"}
    for pause in (*PAUSES, None):
        request = urllib.request.Request(job.callback, body, headers, method="POST")  # noqa: S310  # http, as was checked
        try:
            with OPENER.open(request, timeout=SECONDS) as answer:
                if 200 <= answer.status < 300:
                    return True
        except (OSError, urllib.error.URLError, ValueError):
            pass
        if pause is not None:
            time.sleep(pause)
    return False
