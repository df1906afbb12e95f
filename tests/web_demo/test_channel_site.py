"""The site of an update channel: what is written into the page, what is refused, and the commands from keys to a rollback."""

from __future__ import annotations

import errno
import hashlib
import http.client
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner

from edgeship.bundle.bundle import open_bundle
from edgeship.cli.bundles.demo import demo
from edgeship.demo import channel_site
from edgeship.demo.page_settings import place_of
from edgeship.demo.selftest import read_selftest
from edgeship.errors import InputError
from tests.web_demo.channel_page import look, runs
from tests.web_demo.channels import ChannelFolder, bundle_files

# In a page: wait until the newest service worker is in charge.
ACTIVATED = """async () => {
  const registration = await navigator.serviceWorker.ready;
  await registration.update();
  const next = registration.installing ?? registration.waiting;
  if (next) await new Promise((done) => next.addEventListener('statechange', () => next.state === 'activated' && done()));
}"""


@pytest.fixture
def page(tmp_path):
    """What stands for the built page."""
    folder = tmp_path / "page"
    folder.mkdir()
    text = f"<!doctype html>{place_of('channel')}"
    (folder / "index.html").write_text(text)
    (folder / "sw.js").write_text(f'["{hashlib.sha256(text.encode()).hexdigest()}", "{channel_site.MODEL_FROM}"]')
    return folder


@pytest.fixture
def channel(tmp_path):
    folder = ChannelFolder(tmp_path / "channel")
    folder.publish()
    return folder


def test_the_page_holds_the_root_and_its_service_worker_knows_it(page, channel, tmp_path):
    channel.root.unrecognized_fields["x"] = "</script><script>alert(1)"
    channel.sign_root(channel.keys["root"])
    channel_site.write_channel_site(channel.folder, "pots/stable", tmp_path / "site", page, copy=True)
    text = (tmp_path / "site" / "index.html").read_text()
    content = text.partition('id="channel">')[2].removesuffix("</script>")
    assert "</script" not in content
    embedded = json.loads(content)
    assert (embedded["url"], embedded["name"]) == ("channel/", "pots/stable")
    assert embedded["root"] == (channel.folder / "metadata" / "1.root.json").read_text()
    expected = [hashlib.sha256(text.encode()).hexdigest(), "channel"]
    assert json.loads((tmp_path / "site" / "sw.js").read_text()) == expected
    copied = {path.relative_to(tmp_path / "site" / "channel") for path in (tmp_path / "site" / "channel").rglob("*")}
    assert copied == {path.relative_to(channel.folder) for path in channel.folder.rglob("*")}
    channel_site.write_channel_site(channel.folder, "pots/stable", tmp_path / "site", page, copy=False)  # again
    assert not (tmp_path / "site" / "channel").exists()


def fail_to_copy(source, target, **_):
    if os.fspath(source).endswith(".json"):
        raise OSError(errno.ENOSPC, "No space left on device", str(target))
    Path(target).write_bytes(Path(source).read_bytes())
    return target


def test_refusals(page, channel, tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"no channel pots/beta in it; there are: pots/stable"):
        channel_site.write_channel_site(channel.folder, "pots/beta", tmp_path / "site", page, copy=True)
    with pytest.raises(InputError, match=r"no update channel \(no metadata/1.root.json\); `edgeship deploy publish"):
        channel_site.write_channel_site(tmp_path, "pots/stable", tmp_path / "site", page, copy=True)
    with pytest.raises(InputError, match="lies in the channel"):
        channel_site.write_channel_site(channel.folder, "pots/stable", channel.folder / "page", page, copy=True)
    link = channel.folder / "targets" / "link"
    link.symlink_to(page / "sw.js")
    with pytest.raises(InputError, match="link: a link, not a regular file"):
        channel_site.write_channel_site(channel.folder, "pots/stable", tmp_path / "site", page, copy=True)
    link.unlink()
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "copyfile", fail_to_copy)
        with pytest.raises(InputError, match=r"metadata: cannot be copied .*No space left"):
            channel_site.write_channel_site(channel.folder, "pots/stable", tmp_path / "site", page, copy=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "sw.js").write_text("of a page that is no demo")
    with pytest.raises(InputError, match="is not the page of a channel"):
        channel_site.write_channel_site(channel.folder, "pots/stable", tmp_path / "mine", page, copy=True)
    (page / "index.html").write_text("<!doctype html>")
    with pytest.raises(InputError, match="knows no channels"):
        channel_site.write_channel_site(channel.folder, "pots/stable", tmp_path / "site", page, copy=True)
    assert not (tmp_path / "site").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "either a BUNDLE or a --channel"),
        (["bundle", "--channel", "c", "--name", "n/s"], "either a BUNDLE or a --channel"),
        (["--channel", "c"], "belong together"),
        (["bundle", "--name", "n/s"], "belong together"),
        (["--channel", "c", "--name", "n/s", "--data", "d.npz"], "--data is for a BUNDLE"),
    ],
)
def test_usage(arguments, said):
    done = CliRunner().invoke(demo, arguments)
    assert done.exit_code == 2 and said in done.output


def edgeship(folder, *arguments):
    command = [sys.executable, "-m", "edgeship.cli", *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def convert_with_labels(bundles, folder, labels):
    """The bundle of the same model with other labels."""
    folder.mkdir()
    for name in ("pictures.keras", "pictures.npz"):
        shutil.copyfile(bundles / name, folder / name)
    (folder / "labels.txt").write_text(labels)
    edgeship(folder, "convert", "pictures.keras", "--to", "tfjs", "--data", "pictures.npz", "--out", "bundle")
    return folder / "bundle"


@pytest.mark.more
def test_from_keys_to_a_rollback_by_the_commands_that_a_user_runs(bundles, built, browser, tmp_path):
    """Of both kinds of keys, two of which must sign; all are replaced while the page is open."""
    assert built
    channel = ("--channel", "channel", "--name", "pots/stable", "--key", "keys", "--key", "other-keys")
    second = convert_with_labels(bundles, tmp_path / "second", "mug\njar\npan\npot\n")
    for name, kind in {"keys": "ed25519", "other-keys": "ecdsa", "new-keys": "ecdsa"}.items():
        edgeship(tmp_path, "deploy", "keygen", "--out", name, "--type", kind)
    edgeship(tmp_path, "deploy", "publish", bundles / "pictures", *channel, "--force", "--threshold", "2")
    served = [sys.executable, "-m", "edgeship.cli", "demo", *channel[:4], "--port", "0"]
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(served, cwd=tmp_path, stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout
        try:
            url = process.stdout.readline().split()[1]
            with browser() as chromium:
                page = chromium.new_context().new_page()
                page.goto(url)
                assert runs(page, 1, "weight_only_w8")
                with page.expect_download() as download:
                    page.click("#download")
                check = read_selftest(download.value.path(), open_bundle(bundles / "pictures")).check
                assert (check.verdict, check.runtime) == ("PASS", "client-web"), check.reason
                edgeship(tmp_path, "deploy", "publish", second, *channel, "--force")
                assert look(page) == ""
                page.click("#reload")
                assert runs(page, 2, "weight_only_w8") and "mug" in page.inner_text("#card")
                rotate = ("deploy", "rotate", "--channel", "channel", *channel[4:], "--new-key", "new-keys")
                for role in ("root", "targets", "snapshot", "timestamp"):
                    edgeship(tmp_path, *rotate, "--key", "new-keys", "--role", role, "--threshold", "1")
                    assert look(page) == "", role
                shutil.rmtree(tmp_path / "keys")
                shutil.rmtree(tmp_path / "other-keys")
                edgeship(tmp_path, "deploy", "rollback", *channel[:4], "--key", "new-keys")
                page.click("#look")
                assert runs(page, 1, "weight_only_w8")
            address = urlsplit(url)
            connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=30)
            connection.request("GET", "/channel/.lock")
            assert connection.getresponse().status == 404, "metadata and targets are served, and nothing else"
            connection.close()
        finally:
            process.terminate()


@pytest.mark.more
def test_at_the_address_of_a_bundle_a_channel_takes_over(site, browser, built, tmp_path):
    """As where somebody serves first the one and then the other on the same port: the browser knows the first page by heart."""
    served = site("pictures")
    channel = ChannelFolder(tmp_path / "channel")
    channel.add_version(1, bundle_files(served.bundle, "tfjs/float32"), "tfjs/float32", ("mug", "jar", "pan", "pot"))
    channel.publish()
    with browser() as chromium:
        page = chromium.new_context().new_page()
        page.goto(served.server.url)
        page.wait_for_selector("#offline:has-text('works offline')")
        shutil.rmtree(served.folder)
        channel_site.write_channel_site(channel.folder, "pots/stable", served.folder, built, copy=True)
        page.reload()
        page.evaluate(ACTIVATED)
        page.reload()
        assert runs(page, 1, "float32") and "mug" in page.inner_text("#card")
        page.wait_for_selector("#offline:has-text('works offline')")
        served.server.stop()
        page.reload()
        assert runs(page, 1, "float32")
