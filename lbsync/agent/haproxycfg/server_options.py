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


def takes_value(keyword: str) -> bool:
    """Tell whether the word behind a keyword is its value."""
    return keyword in VALUED or keyword in ONLY_FOR_NAMES or keyword.startswith(_TLV)


def is_known(keyword: str) -> bool:
    """Tell whether it is known which words belong to a keyword."""
    return keyword in FLAGS or takes_value(keyword)


def options(words: Iterable[str]) -> Iterator[Option]:
    """Cut the words of a `server` line into options; an unknown keyword stands alone."""
    option: list[str] = []
    missing = 0
    for word in words:
        if missing:
            option.append(word)
            missing -= 1
            continue
        if option[:1] == ["source"] and word in _OF_SOURCE:
            option.append(word)
            missing = 1
            continue
        if option:
            yield tuple(option)
        option, missing = [word], int(takes_value(word))
    if option:
        yield tuple(option)
