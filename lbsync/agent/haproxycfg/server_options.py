"""The words of a `server` line, cut into options (configuration manual, section 5.2). Pure.

What follows a keyword that takes a value is that value, whatever it looks like: a server may be called
`disabled`, and its cookie's value is its name.
"""

from collections.abc import Iterable, Iterator


def _named(text: str) -> frozenset[str]:
    return frozenset(text.split())


FLAGS = _named(
    """
    agent-check allow-0rtt backup check check-send-proxy check-ssl check-via-socks4 disabled enabled
    force-sslv3 force-tlsv10 force-tlsv11 force-tlsv12 force-tlsv13 no-ssl-reuse no-sslv3
    no-tls-tickets no-tlsv10 no-tlsv11 no-tlsv12 no-tlsv13 send-proxy send-proxy-v2
    send-proxy-v2-ssl send-proxy-v2-ssl-cn ssl tfo tls-tickets
    """
)
VALUED = _named(
    """
    addr agent-addr agent-inter agent-port agent-send alpn ca-file check-alpn check-proto check-sni
    ciphers ciphersuites cookie crl-file crt downinter error-limit fall fastinter id inter maxconn
    maxqueue minconn npn observe on-error on-marked-down on-marked-up pool-low-conn pool-max-conn
    pool-purge-delay port proto proxy-v2-options rise slowstart sni ssl-max-ver ssl-min-ver track
    verify verifyhost weight ws
    """
)
ONLY_FOR_NAMES = frozenset(
    ("init-addr", "resolvers", "resolve-opts", "resolve-net", "resolve-prefer")
)
"""How a name becomes an address: without meaning for a server given by address."""
Option = tuple[str, ...]
"""A keyword with its value, if it takes one."""


def options(words: Iterable[str]) -> Iterator[Option]:
    """Cut the words of a `server` line into options; an unknown keyword stands alone."""
    line = iter(words)
    for word in line:
        if word in VALUED or word in ONLY_FOR_NAMES:
            value = next(line, None)
            yield (word,) if value is None else (word, value)
        else:
            yield (word,)
