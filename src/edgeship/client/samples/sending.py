"""Asks a server how many samples it wants, and sends so many, each once."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, build_opener

from edgeship.client.reports.sending import check_address, is_for_later, post_body
from edgeship.client.samples.kept import DeviceSamples

MOST_WANTED, MOST_ANSWER_BYTES = 1000, 1 << 20


@dataclass(frozen=True)
class SampleSendResult:
    """What came of sending: `wanted` samples a week; so many were `sent`, `refused` for good, and are `waiting`.

    `error`: why the last was not taken, or the server was not asked.
    """

    wanted: int = 0
    sent: int = 0
    refused: int = 0
    waiting: int = 0
    error: str = ""


def send_samples(folder: DeviceSamples, url: str, profile: str, week: int, seconds: float) -> SampleSendResult:
    """Ask `url`/wanted, and POST what is chosen of weeks before `week`. Raises ClientError for an address that can be none."""
    check_address(url, "samples")
    wanted, error = ask_wanted(f"{url.rstrip('/')}/wanted?profile={profile}", profile, seconds)
    if not wanted:
        return SampleSendResult(error=error)
    chosen = folder.choose(wanted, week)
    sent = refused = 0
    for item in chosen:
        body = folder.read_body(item)
        if body is not None:
            headers = {
                "Content-Type": "application/octet-stream",
                "Content-Encoding": "gzip",
                "Idempotency-Key": hashlib.sha256(body).hexdigest()[:32],
            }
            status, reason = post_body(url, gzip.compress(body, 6, mtime=0), headers, seconds)
            if status is None or is_for_later(status):
                return SampleSendResult(wanted, sent, refused, len(chosen) - sent - refused, reason)
            sent, refused = sent + (status < 300), refused + (status >= 300)
            error = reason if status >= 300 else error
        folder.remove(item)
    return SampleSendResult(wanted, sent, refused, 0, error)


def ask_wanted(url: str, profile: str, seconds: float) -> tuple[int, str]:
    """How many samples of a week the server wants of a bundle, 0 where it wants none; and why it could not be asked."""
    try:
        with build_opener().open(Request(url), timeout=seconds) as answer:  # noqa: S310  # the scheme was looked at
            return _read_wanted(answer.read(MOST_ANSWER_BYTES), profile), ""
    except HTTPError as error:
        with error:
            return 0, "" if error.code == 404 else f"the server answered {error.code}"  # 404: it takes no samples
    except (OSError, HTTPException, ValueError, RecursionError) as error:
        text = re.sub(r"[^ -~]", "?", str(error))[:100]
        return 0, f"the server was not asked ({text})"


def _read_wanted(content: bytes, profile: str) -> int:
    answer: Any = json.loads(content)
    number = (
        answer["wanted"].get(profile, 0) if isinstance(answer, dict) and isinstance(answer.get("wanted"), dict) else 0
    )
    return min(number, MOST_WANTED) if type(number) is int and number > 0 else 0
