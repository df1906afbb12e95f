"""Sends reports: each with its key, so that a server counts it once however often it arrives; what fails is tried again later."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from edgeship.client.outcome import ClientError
from edgeship.client.reports.outbox import Outbox

FIRST_PAUSE, LONGEST_PAUSE = 60.0, 86_400.0  # seconds until the next try, doubled with each failure
LATER = (408, 425, 429)  # beside 5xx: what the server may take another time


@dataclass(frozen=True)
class SendResult:
    """What came of sending: so many reports were `sent`, `refused` for good, and are `waiting`; why the last was not taken."""

    sent: int
    refused: int
    waiting: int
    error: str = ""


class _NoRedirects(HTTPRedirectHandler):
    """A report that is led elsewhere would arrive as a GET, without its content."""

    def redirect_request(self, *_: Any) -> None:
        return None


def send_reports(outbox: Outbox, url: str, seconds: float) -> SendResult:
    """POST what waits, oldest first, until the server cannot be reached. Raises ClientError for an address that can be none."""
    check_address(url, "reports")
    failures, quiet_until = outbox.read_retry()
    waiting = outbox.waiting()
    if time.time() < quiet_until <= time.time() + 2 * LONGEST_PAUSE:
        return SendResult(0, 0, len(waiting), "the last try failed; it is not time for the next")
    sent = refused = 0
    error = ""
    for report in waiting:
        headers = {"Content-Type": "application/json", "Idempotency-Key": report["key"]}
        status, reason = post_body(url, report["body"].encode(), headers, seconds)
        if status is None or is_for_later(status):
            pause = min(FIRST_PAUSE * 2 ** min(failures, 20), LONGEST_PAUSE) * random.uniform(0.5, 1.0)  # noqa: S311
            outbox.write_retry(failures + 1, time.time() + pause)
            return SendResult(sent, refused, len(waiting) - sent - refused, reason)
        outbox.remove(report["key"])
        sent, refused = sent + (status < 300), refused + (status >= 300)
        error = reason if status >= 300 else error
    if failures:
        outbox.write_retry(0, 0.0)
    return SendResult(sent, refused, 0, error)


def check_address(url: str, what: str) -> None:
    """Raise ClientError for an address that nothing can be sent to; `what` is sent, as `reports`."""
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ClientError(f"{url[:200]!a} is no address for {what}, as https://models.example.com/{what}")


def is_for_later(status: int) -> bool:
    """Whether what was not taken should be tried again: the server may take it another time."""
    return status in LATER or status >= 500


def post_body(url: str, body: bytes, headers: dict[str, str], seconds: float) -> tuple[int | None, str]:
    """The status of the answer, None where there was none, and what was wrong."""
    request = Request(url, body, headers, method="POST")  # noqa: S310  # the scheme was looked at
    try:
        with build_opener(_NoRedirects).open(request, timeout=seconds) as answer:
            return answer.status, ""
    except HTTPError as error:
        with error:
            return error.code, f"the server answered {error.code}"
    except (OSError, HTTPException) as error:
        return None, f"the server was not reached ({str(error)[:100]})"
