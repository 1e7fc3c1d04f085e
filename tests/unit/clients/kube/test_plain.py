"""Whatever goes wrong with a connection is told in words, without the library's own objects."""

import re
import socket
import ssl
import time

import pytest
import urllib3
from urllib3 import exceptions
from urllib3.connection import HTTPConnection

from lbsync.clients.kube.plain import plain

POOL = urllib3.HTTPConnectionPool("api.example")
RESET = ConnectionResetError(104, "Connection reset by peer")


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (exceptions.ReadTimeoutError(POOL, "/", "Read timed out. (read timeout=5.0)"), "no answer in time"),
        (exceptions.ConnectTimeoutError(POOL, "x"), "no connection in time"),
        (exceptions.ProtocolError("Connection aborted.", RESET),
         "the connection broke: Connection reset by peer"),
        (exceptions.ProtocolError("Response ended prematurely"),
         "the connection was closed in the middle of the answer"),
        (caused(exceptions.ProtocolError("('Connection broken: ', x)"), RESET),
         "the connection broke: Connection reset by peer"),
        (exceptions.IncompleteRead(3, 5), "the answer ended early"),
        (exceptions.NewConnectionError(HTTPConnection("a"), "[Errno 111] Connection refused"),
         "cannot connect: Connection refused"),
        (exceptions.NameResolutionError("api.example", HTTPConnection("a"), socket.gaierror(-2, "x")),
         "the name api.example cannot be resolved"),
        (exceptions.SSLError(ssl.SSLError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify "
         "failed: self-signed certificate (_ssl.c:1006)")),
         "TLS failed: certificate verify failed: self-signed certificate; check certificate-authority "
         "and tls-server-name"),
        (exceptions.ProxyError("no", exceptions.ConnectTimeoutError(POOL, "x")),
         "the proxy does not help: no connection in time"),
        (BrokenPipeError(32, "Broken pipe"), "Broken pipe"),
        (TimeoutError("timed out"), "no answer in time"),
        (OSError(), "the connection failed"),
        (exceptions.HTTPError("TrackedHTTPS(host='10.0.0.1', port=443): odd"), "the connection failed"),
        (exceptions.HTTPError("('odd', ConnectionError(1, 'x'))"), "the connection failed"),
    ],
)  # fmt: skip
def test_a_failure_is_told_in_words(error: Exception, said: str) -> None:
    assert plain(error) == said
    assert not re.search(r"Errno|0x|\(host=|Error\(", plain(error))


@pytest.mark.parametrize("part", ["a", "[A", "a(", " ", "[Errno 1", "'"])
def test_a_long_answer_is_gone_through_once(part: str) -> None:
    text = part * (200_000 // len(part))
    began = time.thread_time()
    plain(exceptions.HTTPError(text))
    plain(exceptions.SSLError(ssl.SSLError(1, text)))
    assert time.thread_time() - began < 2.0
