"""The server starts, answers, stops, and says why it cannot."""

import socket
import threading

import httpx
import pytest

from monitor.serve.http import create
from monitor.serve.server import PortTaken, Server
from tests.unit.serve import houses


def app(state: str = "ok") -> object:
    return create(houses.Remembering(houses.named(state)), clock=lambda: houses.NOW)


def test_it_answers_on_a_free_port_and_lets_go_of_it():
    with Server(app()) as server:
        assert server.port > 0
        assert httpx.get(f"{server.url}/-/healthy").status_code == 200
        # What comes over the wire is what the tests without a socket see.
        page = httpx.get(server.url)
        assert "server" not in page.headers
        assert page.headers["content-security-policy"].startswith("default-src 'none'")
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{server.url}/-/healthy")
    with Server(app(), port=server.port) as again:
        assert again.port == server.port
    assert "trigwatch-http" not in [thread.name for thread in threading.enumerate()]


def test_a_taken_port_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"127.0.0.1 port {port}.*choose another"):
            Server(app(), port=port)


def test_a_host_that_does_not_exist_is_named():
    with pytest.raises(PortTaken, match=r"192\.0\.2\.1"):
        Server(app(), host="192.0.2.1")


def test_stopping_twice_or_before_the_start_is_fine():
    server = Server(app())
    server.stop()
    server.stop()


def test_requests_from_many_threads_are_all_answered():
    with Server(app("detector")) as server:
        answers: list[int] = []

        def ask() -> None:
            answers.extend(
                httpx.get(f"{server.url}{path}").status_code for path in ("/", "/metrics", "/api/v1/streams")
            )

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == [200] * 24


def test_bytes_that_are_not_http_do_not_disturb_the_others():
    with Server(app()) as server, socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00" * 100 + b"\r\n\r\n")
        assert connection.recv(64).startswith(b"HTTP/1.1 400")
        assert httpx.get(f"{server.url}/-/ready").status_code == 200
