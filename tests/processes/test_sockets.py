"""Sockets of servers: answers leave at once, and what cannot be had is a sentence."""

from __future__ import annotations

import asyncio
import socket

import pytest

from edgeship.errors import InputError
from edgeship.processes.sockets import open_socket


def test_answers_leave_at_once() -> None:
    """asyncio turns Nagle's algorithm off for connections whose socket says that it is of TCP, and for no other."""

    async def accept() -> int:
        accepted: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def look(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            opened = writer.get_extra_info("socket")
            accepted.set_result(opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        listener = open_socket("127.0.0.1", 0)
        async with await asyncio.start_server(look, sock=listener):
            _, writer = await asyncio.open_connection(*listener.getsockname())
            found = await accepted
            writer.close()
            return found

    assert asyncio.run(accept())


@pytest.mark.parametrize("host", ["127.0.0.1", "no host", "a" * 70 + ".example"])
def test_what_cannot_be_had_is_refused(host: str) -> None:
    with open_socket("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(InputError, match=f"^--grpc-port {port}: cannot listen on {host[:60]}"):
            open_socket(host, port, "--grpc-port")


def test_a_port_beyond_all_is_refused() -> None:
    with pytest.raises(InputError, match=r"^--port 70000: cannot listen"):
        open_socket("127.0.0.1", 70_000)
