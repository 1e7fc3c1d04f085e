"""Which key a line of haproxy.cfg was printed from."""

import pytest

from lbsync.agent.desired.raw_layout import printed_on

KEYS = {
    "svc/s1/up/a": "10.0.0.1:99999",
    "svc/s2/up/a": "10.0.0.1:99999",
    "svc/s1/up/b": "10.0.0.1:80",
    "svc/s1/up/bad name": "10.0.0.1:80",
    "svc/s1/timeout": "5x",
    "svc/s1/on": "1",
    "svc/s3/up/c": "10.0.0.3:80",
    "svc/s1/host": 'a"b.example',
}


@pytest.mark.parametrize(
    ("line", "section", "key"),
    [
        ("    server a 10.0.0.1:99999", "be-s1", "svc/s1/up/a"),
        ("    server a 10.0.0.1:99999", "be-s2", "svc/s2/up/a"),
        ("    server b 10.0.0.1:80", "be-s1", "svc/s1/up/b"),
        ('    server "bad name" 10.0.0.1:80', "be-s1", "svc/s1/up/bad name"),
        ("    timeout server 5x", "be-s1", "svc/s1/timeout"),
        (r'    acl host hdr(host) "a\"b.example"', "be-s1", "svc/s1/host"),
        # Two that fit alike, values that only happen to be there, and lines of nobody.
        ("    server a 10.0.0.1:99999", "be", ""),
        ("    server c 10.0.0.3:8080", "be-s3", ""),
        ("    server c 110.0.0.3:80", "be-s3", ""),
        ("    server d 5x", "be", ""),
        ("", "", ""),
    ],
)
def test_a_line_is_led_back_to_one_key_or_to_none(line: str, section: str, key: str) -> None:
    assert printed_on(line, section, KEYS) == key
