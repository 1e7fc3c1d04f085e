"""`show stat` of single backends, in whatever columns a release has."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbsync.clients.haproxy import stat
from lbsync.errors import Unavailable

HEAD = "# pxname,svname,qcur,scur,stot,status,weight,check_status,check_code,last_chk,addr,x,\n"
ANSWER = (
    HEAD
    + 'be_a_b_c,one,1,2,30,UP 1/3,5,* L7OK,200,"OK, and ""well""",10.0.0.7:80,,\n'
    + "be_a_b_c,BACKEND,0,2,31,UP,5,,,,,,\n\nNo such proxy.\n\n"
)


def test_rows_of_several_backends_are_read_by_the_names_of_their_columns() -> None:
    other = "# svname,pxname,scur,stot,status,rtime,\ntwo,be_d_e_f,7,8,DOWN,12,\n\n"
    one, sums, two = stat.parse(ANSWER + other)
    assert (one.server, one.status, one.check_status, one.check_code) == (
        "one",
        "UP 1/3",
        "L7OK",
        200,
    )
    assert (one.last_chk, one.addr, one.qcur, one.scur, one.stot) == (
        'OK, and "well"', "10.0.0.7:80", 1, 2, 30,
    )  # fmt: skip
    assert (sums.server, sums.stot, sums.rtime) == ("", 31, 0)
    assert (two.backend, two.server, two.scur, two.rtime) == ("be_d_e_f", "two", 7, 12)
    assert stat.parse("No such proxy.\n\n") == []


@pytest.mark.parametrize(
    "answer", ["Permission denied\n\n", "# a,b\n", HEAD + "be_a_b_c,one,1,x,3,UP\n"]
)
def test_what_is_no_such_table_is_refused(answer: str) -> None:
    with pytest.raises(Unavailable):
        stat.parse(answer)


@given(st.text() | st.text(alphabet='#,"\n abpxnameUP1').map(lambda text: HEAD + text))
def test_nothing_else_is_raised(answer: str) -> None:
    with contextlib.suppress(Unavailable):
        stat.parse(answer)
