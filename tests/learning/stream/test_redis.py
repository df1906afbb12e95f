"""Redis Streams, with a server: requests are answered once, labels learned once, whoever dies meanwhile."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.learning import small_world
from tests.learning.stream.conftest import make_rows
from tests.learning.stream.test_killed import ROOT

WAITING = ("--interval", 1000)


def ask(queue, table):
    for key, image, _ in zip(*table.values(), strict=True):
        queue.xadd("bars:requests", {"key": key, "row": json.dumps({"image": image})})


def tell(queue, table):
    for key, _, label in zip(*table.values(), strict=True):
        queue.xadd("bars:labels", {"key": key, "label": label})


def answers(queue):
    return [
        {name.decode(): value.decode() for name, value in fields.items()} for _, fields in queue.xrange("bars:answers")
    ]


def pending(queue, stream):
    return queue.xpending(f"bars:{stream}", "edgeship")["pending"]


def test_requests_are_answered_and_labels_learned(queue, redis_server, stream):
    table = make_rows(70, 3).to_pydict()
    queue.xadd("bars:labels", {"key": "row-69", "label": table["label"][69]})  # before its request
    ask(queue, table)
    picture = io.BytesIO()
    Image.fromarray(np.array(table["image"][0], np.uint8).reshape(8, 8)).save(picture, "png")
    queue.xadd("bars:requests", {"key": "file", "image": picture.getvalue()})
    queue.xadd("bars:requests", {"key": "bad", "row": "[1"})
    queue.xadd("bars:requests", {"row": "{}"})
    ask(queue, {name: values[:3] for name, values in table.items()})  # once more
    result = stream(redis_server, *WAITING)
    found = {item["key"]: item for item in answers(queue)}
    assert len(found) == len(answers(queue)) == 72 == result["answered"]
    assert found["bad"]["error"] == "its row is no JSON" and found["file"]["answer"] == found["row-0"]["answer"]
    assert found["file"]["answer"] in small_world.LABELS
    right = [found[key]["answer"] == label for key, label in zip(table["id"], table["label"], strict=True)]
    assert np.mean(right) > 0.9 and {item.get("version", "1") for item in found.values()} == {"1"}
    assert result["share"] == {**result["share"], "rows": 1, "right": int(right[69])}  # the early one
    assert result["counts"]["set_aside"] == 2

    tell(queue, table)
    queue.xadd("bars:labels", {"key": "nobody", "label": "left"})
    queue.xadd("bars:labels", {"key": "row-5", "label": "sideways"})
    queue.xadd("bars:labels", {"key": "bad", "label": "left"})
    result = stream(redis_server, *WAITING)
    assert (
        result["share"]["rows"] == 70 and result["share"]["right"] == sum(right) and result["counts"]["repeated"] == 1
    )
    assert result["counts"]["set_aside"] == 4 and pending(queue, "requests") == 0
    assert pending(queue, "labels") == 1  # nobody's, which waits for its request
    ask(queue, {"id": ["nobody"], "image": table["image"][:1], "label": [""]})
    assert stream(redis_server, *WAITING)["share"]["rows"] == 71 and pending(queue, "labels") == 0


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_killed_consumer_takes_nothing_with_it(queue, redis_server, world, place, stream):
    table = make_rows(150, 4).to_pydict()
    ask(queue, table)
    tell(queue, table)
    given = ["--from", redis_server, "--data", str(world), "--interval", "1000", "--once", "--state"]
    killed = [
        sys.executable,
        "-m",
        "tests.learning.stream.killed",
        "settle:2",
        "stream",
        "--name",
        "bars",
        *given,
        "state",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(killed, cwd=place, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert pending(queue, "labels") == 64  # kept in the state, and not acknowledged
    result = stream(redis_server, *WAITING)
    assert result["share"]["rows"] == 150 and result["answered"] == 150 == len(answers(queue))
    assert pending(queue, "labels") == 0 and result["counts"]["repeated"] == 64

    # A consumer that is gone for good, with its state: another takes over what it had, and what it had answered stays.
    more = {name: [f"new-{value}" if name == "id" else value for value in values] for name, values in table.items()}
    ask(queue, more)
    taken = queue.xreadgroup("edgeship", "the-dead", {"bars:requests": ">"}, count=40)
    assert len(taken[0][1]) == 40
    tell(queue, {name: values[-20:] for name, values in more.items()})
    result = stream(redis_server, *WAITING, "--state", "other", "--claim-after", 0)
    assert result["answered"] == 300 == len(answers(queue)) and pending(queue, "requests") == 0
    assert result["share"]["rows"] == 20
    assert {item["answer"] for item in answers(queue)} <= {*small_world.LABELS}


def test_no_server_is_said_without_the_password(stream):
    stream("redis://me:secret@127.0.0.1:1/0", *WAITING, code=2, says="redis://me@127.0.0.1:1/0: Redis does not answer")
