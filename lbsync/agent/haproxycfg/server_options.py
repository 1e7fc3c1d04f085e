"""The words of a `server` line, cut into options (configuration manual, section 5.2). Pure.

What follows a keyword that takes a value is that value, whatever it looks like: a server may be called
`disabled`, and its cookie's value is its name.
"""

from collections.abc import Iterable, Iterator


def _named(text: str) -> frozenset[str]:
    return frozenset(text.split())


FLAGS = _named(
    """
    agent-check allow-0rtt backup check check-reuse-pool check-send-proxy check-ssl check-via-socks4
    disabled enabled force-sslv3 force-tlsv10 force-tlsv11 force-tlsv12 force-tlsv13
    no-check-sni-auto no-sni-auto no-ssl-reuse no-sslv3 no-tls-tickets no-tlsv10 no-tlsv11 no-tlsv12
    no-tlsv13 renegotiate send-proxy send-proxy-v2 send-proxy-v2-ssl send-proxy-v2-ssl-cn ssl
    strict-maxconn tfo tls-tickets
    """
)
VALUED = _named(
    """
    addr agent-addr agent-inter agent-port agent-send alpn ca-file check-alpn check-pool-conn-name
    check-proto check-sni ciphers ciphersuites client-sigalgs cookie crl-file crt curves downinter
    error-limit fall fastinter guid hash-key healthcheck id idle-ping init-state inter maxconn maxqueue minconn npn
    observe on-error on-marked-down on-marked-up pool-conn-name pool-low-conn pool-max-conn
    pool-purge-delay port proto proxy-v2-options rise shard sigalgs slowstart sni source ssl-max-ver
    ssl-min-ver track verify verifyhost weight ws
    """
)
ONLY_FOR_NAMES = frozenset(
    ("init-addr", "resolvers", "resolve-opts", "resolve-net", "resolve-prefer")
)
"""How a name becomes an address: without meaning for a server given by address."""
_OF_SOURCE = frozenset(("usesrc", "interface"))
_TLV = "set-proxy-v2-tlv-fmt("
"""What stands in its parentheses is part of the keyword: each type of TLV has a value of its own."""
Option = tuple[str, ...]
"""A keyword with its value, if it takes one; `source` with what it takes behind its address, too."""


_TAKE_VALUE = VALUED | ONLY_FOR_NAMES


def takes_value(keyword: str) -> bool:
    """Tell whether the word behind a keyword is its value."""
    return keyword in _TAKE_VALUE or keyword.startswith(_TLV)


def is_known(keyword: str) -> bool:
    """Tell whether it is known which words belong to a keyword."""
    return keyword in FLAGS or takes_value(keyword)


def options(words: Iterable[str]) -> Iterator[Option]:
    """Cut the words of a `server` line into options; an unknown keyword stands alone."""
    every = tuple(words)
    at = 0
    while at < len(every):
        end = at + 2 if takes_value(every[at]) else at + 1
        if every[at] == "source":
            while end < len(every) and every[end] in _OF_SOURCE:
                end += 2
        yield every[at:end]
        at = end
