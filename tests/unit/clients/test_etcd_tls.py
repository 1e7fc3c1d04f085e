"""What a certificate's dates say, whatever it looks like."""

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbsync.clients.etcd.tls import out_of_date

EARLY = "is not valid before 2026-02-01 00:00 UTC; is the clock of this host right?"
NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC).timestamp()


def pem(validity: bytes) -> str:
    body = b"\x30\x82\x01\x00" + b"\x30" + bytes([len(validity)]) + validity
    text = base64.encodebytes(body).decode()
    return f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    ("begins", "ends", "said"),
    [
        (b"\x17\x0d260101000000Z", b"\x17\x0d270101000000Z", ""),
        (b"\x17\x0d250101000000Z", b"\x17\x0d260131110000Z", "expired on 2026-01-31 11:00 UTC (60 min ago)"),
        (b"\x17\x0d991231000000Z", b"\x18\x0f20560101000000Z", ""),
        (b"\x17\x0d260201000000Z", b"\x18\x0f20560101000000Z", EARLY),
        (b"\x17\x0d269999000000Z", b"\x17\x0d270101000000Z", ""),
    ],
)  # fmt: skip
def test_a_certificate_out_of_date_says_since_when(begins: bytes, ends: bytes, said: str) -> None:
    assert out_of_date(pem(begins + ends), NOW) == said


@given(st.one_of(st.text(max_size=60), st.binary(max_size=60).map(pem)))
def test_whatever_is_shown_is_read_without_a_fault(text: str) -> None:
    out_of_date(text, NOW)
