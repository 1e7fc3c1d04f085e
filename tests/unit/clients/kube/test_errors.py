"""From an answer to what the caller must do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbsync.clients.kube.errors import (
    ApiUnavailable,
    Expired,
    Forbidden,
    NotFound,
    Status,
    Unauthorized,
    parse_status,
    refusal,
)
from lbsync.errors import Conflict, LbsyncError, Rejected, Unavailable


@pytest.mark.parametrize(
    ("code", "kind", "floor"),
    [
        (400, Rejected, Rejected),
        (401, Unauthorized, Rejected),
        (403, Forbidden, Rejected),
        (404, NotFound, Rejected),
        (409, Conflict, LbsyncError),
        (410, Expired, Unavailable),
        (422, Rejected, Rejected),
        (429, ApiUnavailable, Unavailable),
        (500, ApiUnavailable, Unavailable),
        (504, ApiUnavailable, Unavailable),
    ],
)
def test_each_status_is_one_kind_of_error(
    code: int, kind: type[Exception], floor: type[Exception]
) -> None:
    error = refusal("list services", code, Status(message="why"))
    assert type(error) is kind
    assert isinstance(error, floor)
    assert str(error).startswith(f"list services: why (HTTP {code})")


def test_a_version_from_the_future_means_to_list_again() -> None:
    body = (
        b'{"message":"Timeout: Too large resource version: 9, current: 2","code":504,'
        b'"details":{"causes":[{"reason":"ResourceVersionTooLarge"}],"retryAfterSeconds":1}}'
    )
    assert isinstance(refusal("watch services", 504, parse_status(body)), Expired)


def test_the_time_to_wait_is_taken_from_the_header_or_the_body_and_bounded() -> None:
    said = b'{"details":{"retryAfterSeconds":%d}}'
    for body, header, wanted in (
        (3, None, 3.0), (3, 7.0, 7.0), (3, 9999.0, 60.0), (10**400, None, 60.0), (-(10**400), None, 0.0),
    ):  # fmt: skip
        error = refusal("list", 429, parse_status(said % body), header)
        assert isinstance(error, ApiUnavailable)
        assert error.retry_after == wanted


def test_what_is_no_status_is_shown_shortened() -> None:
    status = parse_status(b"<html>\n<body>Bad   gateway" + b"x" * 1000)
    assert status.message is not None
    assert status.message.startswith("<html> <body>Bad gateway")
    assert len(status.message) == 200
    assert parse_status(b"").message == "no explanation"


@given(body=st.binary(), code=st.integers(300, 599))
def test_any_body_with_any_status_becomes_an_error(body: bytes, code: int) -> None:
    assert str(refusal("list", code, parse_status(body)))
