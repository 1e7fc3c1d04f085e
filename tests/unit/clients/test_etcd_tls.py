"""What a certificate's dates say."""

from datetime import UTC, datetime

import pytest

from lbsync.clients.etcd.tls import out_of_date
from lbsync.clients.x509 import Facts

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("begins", "ends", "said"),
    [
        ("2026-01-01T00:00", "2027-01-01T00:00", ""),
        ("2025-01-01T00:00", "2026-01-31T11:00", "expired on 2026-01-31 11:00 UTC (60 min ago)"),
        ("1999-12-31T00:00", "2056-01-01T00:00", ""),
        ("2026-02-01T00:00", "2056-01-01T00:00",
         "is not valid before 2026-02-01 00:00 UTC; is the clock of this host right?"),
    ],
)  # fmt: skip
def test_a_certificate_out_of_date_says_since_when(begins: str, ends: str, said: str) -> None:
    start, end = (datetime.fromisoformat(f"{day}+00:00").timestamp() for day in (begins, ends))
    assert out_of_date(Facts((), start, end), NOW.timestamp()) == said
