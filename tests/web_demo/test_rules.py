"""The page decides on versions as the Python client does: one set of rules, in two languages."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import subprocess
from dataclasses import asdict

import pytest

from edgeship.client import rules
from edgeship.client.rule_files import render_channel
from edgeship.demo import site
from edgeship.runtimes import tfjs_node

DRIVER = """
import {createHash} from 'node:crypto';
import {readFileSync} from 'node:fs';
import {bucket, chooseVersion, parseChannel} from './rules.js';
const {salt, count, cases} = JSON.parse(readFileSync(0, 'utf8'));
const buckets = createHash('sha256');
for (let index = 0; index < count; index++) buckets.update(`${await bucket(salt, `device-${index}`)} `);
const chosen = [];
for (const {channel, device, running, failed} of cases) {
  const rules = parseChannel(channel, 'pots/stable');
  chosen.push(await chooseVersion(rules, {...device, memoryMb: device.memory_mb}, running, failed));
}
console.log(JSON.stringify({buckets: buckets.digest('hex'), chosen}));
"""


@pytest.fixture(scope="module")
def ask(built, missing, tmp_path_factory):
    """Ask the page's rules, compiled for Node."""
    if reason := tfjs_node.build_problem():
        missing(f"the page {reason}")
    folder, node = tmp_path_factory.mktemp("rules"), str(shutil.which("node"))
    bundler = site.CHECKOUT / "node_modules" / "rolldown" / "bin" / "cli.mjs"
    command = [node, str(bundler), "src/update/rules.ts", "--format", "esm", "--platform", "node", "--dir", str(folder)]
    subprocess.run(command, cwd=site.CHECKOUT, check=True, capture_output=True)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "driver.js").write_text(DRIVER)

    def run(salt, count, cases):
        question = json.dumps({"salt": salt, "count": count, "cases": cases})
        done = subprocess.run(
            [node, "driver.js"], cwd=folder, input=question, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def draw_channel(draw):
    """Any rules, with much that seldom comes together."""
    version = draw.randint(1, 4)
    conditions = rules.Conditions(
        draw.choice([1, 1, 1, 2]),
        draw.choice([{}, {}, {"tfjs": "4.22"}, {"tfjs": "4.22.1"}, {"tflite": "99"}, {"tfjs": "4.9"}]),
        draw.choice([None, None, ("web",), ("linux-x86_64",)]),
        draw.choice([None, None, 512, 4096]),
    )
    arms = tuple(rules.Arm(f"a{index}", draw.randint(1, 4), draw.randint(1, 70)) for index in range(draw.randint(2, 4)))
    percent = draw.choice([0.0, 0.01, 5.0, 33.33, 50.0, 99.99, 100.0])
    experiment = draw.choice([None, None, rules.Experiment("e1", "pots/é1", draw.choice([0.0, 20.0, 100.0]), arms)])
    previous = draw.choice([None, *({1, 2, 3, 4} - {version})])
    withdrawn = tuple(draw.sample([1, 2, 3, 4], draw.choice([0, 0, 1, 2])))
    salt, paused = draw.choice(["pots/stable/2", "sälze/€"]), draw.random() < 0.3
    return rules.Channel("pots", "stable", version, previous, percent, salt, paused, withdrawn, conditions, experiment)


def test_buckets_of_100_000_devices_and_choices_by_any_rules_are_those_of_python(ask):
    draw = random.Random(17)
    cases, expected = [], []
    for index in range(4000):
        channel = draw_channel(draw)
        releases = draw.choice(["4.22.0", "4.22", "4.10.0rc1", "nightly"])
        device = rules.Device(
            f"dévice-{index}", {"tfjs": releases}, draw.choice(["web", None]), draw.choice([None, 512, 8192])
        )
        running, failed = draw.choice([None, 1, 2, 3, 4]), draw.sample([1, 2, 3, 4], draw.choice([0, 0, 0, 1, 2]))
        expected.append(rules.choose_version(channel, device, running, failed))
        cases.append(
            {
                "channel": render_channel(channel).decode(),
                "device": asdict(device),
                "running": running,
                "failed": failed,
            }
        )
    assert {None, 1, 2, 3, 4} == set(expected)
    buckets = hashlib.sha256()
    for index in range(100_000):
        buckets.update(f"{rules.bucket('pots/stable/2', f'device-{index}')} ".encode())
    assert ask("pots/stable/2", 100_000, cases) == {"buckets": buckets.hexdigest(), "chosen": expected}
