"""The two small servers answer those that they are for: their own page by its own name, in good time."""

from __future__ import annotations

import contextlib
import http.client
import io
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeship.demo import site as demo
from edgeship.demo import web_server
from edgeship.demo.web_server import HEADERS
from edgeship.demo.web_server import Server as DemoServer
from edgeship.processes import wire
from edgeship.runtimes.browser.server import Server as PageServer


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    (folder / "bundle").mkdir(parents=True)
    (folder / "index.html").write_text("the page")
    (folder / "bundle" / "manifest.json").write_text("{}")
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "linked").symlink_to(tmp_path)
    return folder


class Watched(DemoServer):
    """Says when a connection has ended."""

    def __init__(self, folder: Path, host: str) -> None:
        self.ended = threading.Event()
        super().__init__(folder, host)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        self.ended.set()


@contextlib.contextmanager
def serving(folder: Path, host: str = "127.0.0.1", **limits: float) -> Iterator[Watched]:
    server = Watched(folder, host)
    for name, value in limits.items():
        setattr(server, name, value)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def ask(
    port: int, path: str = "/", method: str = "GET", body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


class TestDemo:
    def test_what_it_remembers_has_an_end(self, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(web_server, "LOGGED", 3)
        with serving(site) as server:
            for number in range(5):
                assert ask(server.server_port, f"/?{'x' * 9000}{number}")[0] == 200
        assert list(server.log) == [("/", 8)] * 3
        assert server.sent == 5 * 8

    @pytest.mark.parametrize(
        "host", ["127.0.0.1", "127.0.0.1:8765", "localhost:8765", "LOCALHOST", "[::1]:8765", socket.gethostname()]
    )
    def test_its_own_names_are_answered(self, site: Path, host: str) -> None:
        with serving(site) as server:
            assert ask(server.server_port, headers={"Host": host}) == (200, b"the page")

    @pytest.mark.parametrize(
        "host", ["evil.example", "127.0.0.1.evil.example", "192.168.1.5", "", "[::", "localhost@evil.x"]
    )
    def test_another_name_is_refused(self, site: Path, host: str) -> None:
        with serving(site) as server:
            status, body = ask(server.server_port, headers={"Host": host})
            assert status == 421 and b"the page" not in body

    def test_open_to_a_network_it_answers_to_addresses_and_to_no_other_name(self, site: Path) -> None:
        with serving(site, "0.0.0.0") as server:
            assert ask(server.server_port, headers={"Host": "192.168.1.5:8765"})[0] == 200
            assert ask(server.server_port, headers={"Host": "evil.example"})[0] == 421

    @pytest.mark.parametrize(
        "path", ["/link.txt", "/linked/secret.txt", "/linked/", "/bundle/", "/%00", "/" + "a" * 5000]
    )
    def test_links_folders_and_odd_names_are_not_there(self, site: Path, path: str) -> None:
        with serving(site) as server:
            status, body = ask(server.server_port, path)
            assert status == 404 and b"secret" not in body.replace(path.encode(), b"")

    def test_the_policy_is_a_header_too(self, site: Path) -> None:
        with serving(site) as server:
            connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
            for path in ("/", "/missing"):
                connection.request("GET", path)
                answer = connection.getresponse()
                answer.read()
                assert {name: answer.headers[name] for name in HEADERS} == HEADERS
            connection.close()
        page = (demo.CHECKOUT / "index.html").read_text()
        meta = re.search(r'Content-Security-Policy"\s+content="([^"]*)"', page)
        assert meta and HEADERS["Content-Security-Policy"] == f"{meta[1]}; frame-ancestors 'none'"
        assert HEADERS["X-Content-Type-Options"] == "nosniff"

    @pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "])
    def test_a_connection_that_says_nothing_more_is_ended(self, site: Path, sent: bytes) -> None:
        with (
            serving(site, patience=0.2) as server,
            socket.create_connection(("127.0.0.1", server.server_port), 30) as slow,
        ):
            slow.sendall(sent)
            with contextlib.suppress(ConnectionError):
                while slow.recv(1024):
                    pass  # it may say that this was no request

    def test_a_reader_that_takes_nothing_is_ended(self, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(web_server, "BYTES_PER_SECOND", 1 << 40)
        (site / "large.bin").write_bytes(b"\0" * (32 << 20))
        with (
            serving(site, patience=0.3) as server,
            socket.create_connection(("127.0.0.1", server.server_port), 30) as slow,
        ):
            slow.sendall(b"GET /large.bin HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert server.ended.wait(30)
            received = 0
            with contextlib.suppress(ConnectionError):
                while part := slow.recv(1 << 20):
                    received += len(part)
            assert received < 32 << 20

    def test_there_are_at_most_so_many_connections(self, site: Path) -> None:
        with serving(site, most=3) as server, contextlib.ExitStack() as opened:
            address = ("127.0.0.1", server.server_port)
            connections = [opened.enter_context(socket.create_connection(address, 30)) for _ in range(3)]
            for connection in connections:  # each is known to be served before the next one comes
                connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert connection.recv(10) == b"HTTP/1.1 2"
            with pytest.raises((ConnectionError, http.client.HTTPException)):
                ask(server.server_port)


class TestRunnerPage:
    @pytest.fixture
    def server(self, site: Path) -> Iterator[PageServer]:
        server = PageServer(site)
        yield server
        server.close()

    def headers(self, server: PageServer, **changed: str) -> dict[str, str]:
        right = {
            "Host": server.url.removeprefix("http://"),
            "Origin": server.url,
            "Cookie": f"edgeship={getattr(server, 'token', '')}",
        }
        return {**right, **changed}

    def answer(self, **arrays: np.ndarray) -> bytes:
        stream = io.BytesIO()
        wire.send(stream, {"ms": 1}, arrays)
        return stream.getvalue()

    def test_the_browser_that_holds_the_token_is_answered(self, server: PageServer) -> None:
        port = int(server.url.rpartition(":")[2])
        assert ask(port, "/", headers=self.headers(server)) == (200, b"the page")
        body = self.answer(x=np.ones(3, np.float32))
        assert ask(port, "/answer", "POST", body, self.headers(server))[0] == 204
        header, arrays = server.answers.get(timeout=30)
        assert header == {"ms": 1} and arrays["x"].tolist() == [1, 1, 1]

    @pytest.mark.parametrize(
        "changed",
        [
            {"Cookie": ""},
            {"Cookie": "edgeship=guess"},
            {"Cookie": "edgeship=\u00e9"},
            {"Cookie": "\"';=;;edgeship"},
            {"Host": "evil.example"},
            {"Host": "localhost:1"},
            {"Origin": "http://evil.example"},
            {"Origin": "null"},
        ],
    )
    def test_others_get_nothing_and_their_answers_do_not_count(
        self, server: PageServer, changed: dict[str, str]
    ) -> None:
        port = int(server.url.rpartition(":")[2])
        server.requests.put(memoryview(b"a request"))
        headers = self.headers(server, **changed)
        assert ask(port, "/answer", "POST", self.answer(), headers)[0] == 403
        for path in ("/", "/request", "/bundle/manifest.json"):
            assert ask(port, path, headers=headers)[0] == 403
        assert server.answers.empty() and not server.requests.empty()

    def test_an_answer_from_nowhere_is_refused(self, server: PageServer) -> None:
        port = int(server.url.rpartition(":")[2])
        headers = self.headers(server)
        del headers["Origin"]
        assert ask(port, "/answer", "POST", self.answer(), headers)[0] == 403

    def test_only_this_machine_reaches_it(self, server: PageServer) -> None:
        assert server._http.server_address[0] == "127.0.0.1"

    @pytest.mark.parametrize("path", ["/link.txt", "/linked/secret.txt", "/../secret.txt", "/%00", "/" + "a" * 5000])
    def test_nothing_outside_the_page_is_served(self, server: PageServer, path: str) -> None:
        port = int(server.url.rpartition(":")[2])
        assert ask(port, path, headers=self.headers(server))[0] == 404
