"""Decoding refuses, key by key, whatever HAProxy could misread, and says so in one sentence."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbsync.errors import BadKey
from lbsync.model.records import EndpointsRecord, RouteRecord, ServiceRecord
from lbsync.schema.decode import decode, encode
from lbsync.schema.keys import Key, ServiceId, parse_key


def read(key: str, value: bytes) -> object:
    parsed = parse_key(key)
    assert parsed is not None
    return decode(key, parsed, value)


def test_a_full_service_survives_a_round_trip() -> None:
    value = (
        b'{"mode":"http","hosts":["A.Example.com","*.x.y"],"paths":["/api/"],'
        b'"check":{"path":"/h","interval":"1500ms"},"sticky":{"cookie":"SID"},'
        b'"headers":{"request":{"set":{"X-A":"b"},"del":["y"]}},"compression":{"types":["text/css"]}}'
    )
    record = read("services/shop/cart", value)
    assert isinstance(record, ServiceRecord)
    assert record.hosts == ("a.example.com", "*.x.y")
    assert record.paths == ("/api",)
    assert int(record.check.interval) == 1500
    assert read("services/shop/cart", encode(record)) == record


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b"{}", "mode: required, but missing"),
        (b'{"mode":"http","chek":{}}', "chek: no such field; did you mean check?"),
        (b'{"mode":"http","check":{"pth":"/"}}', "check.pth: no such field; did you mean path?"),
        (
            b'{"mode":"http","check":{"interval":"99ms"}}',
            "check.interval: checks cost the services of all",
        ),
        (b'{"mode":"http","check":{"interval":2000}}', "check.interval: 2000 is no duration"),
        (b'{"mode":"http","hosts":["a.example:80"]}', "leave the port out"),
        (b'{"mode":"http","hosts":["*."]}', "hosts[0]: '*.' is no host name"),
        (b'{"mode":"http","hosts":["a b"]}', "hosts[0]: 'a b' is no host name"),
        (b'{"mode":"http","paths":["api"]}', "paths[0]: 'api' is no path"),
        (b'{"mode":"http","paths":["/a b"]}', "is no path"),
        (b'{"mode":"http","paths":["/a/../b"]}', "'/a/../b' is a path with . or .. in it"),
        (b'{"mode":"http","paths":["/a/%2E"]}', "write the path that it stands for"),
        (b'{"mode":"tcp"}', "listen: a tcp service needs"),
        (
            b'{"mode":"tcp","listen":0}',
            "listen: it is out of range: write a whole number from 1 to 65535",
        ),
        (
            b'{"mode":"tcp","listen":"80"}',
            "listen: it is text: write a whole number from 1 to 65535",
        ),
        (b'{"mode":"udp"}', "mode: 'udp' is no choice: write http or tcp"),
        (b'{"mode":7}', "mode: it is a number: write http or tcp"),
        (b'{"mode":"http","compression":1}', "write true or false or an object in { }"),
        (
            b'{"mode":"http","headers":{"request":{"set":{"A":"b","C":5}}}}',
            "headers.request.set.C: ",
        ),
        (b"[]", "it is a list: write an object in { }"),
        (b'{"mode":7,', "no JSON object"),
        (b'{"mode":"tcp","listen":80,"hosts":["a"]}', "hosts: only an http service"),
        (
            b'{"mode":"http","backend_protocol":"h2c","backend_tls":{"verify":"none"}}',
            "backend_protocol: h2c is without TLS",
        ),
        (b'{"mode":"http","listen":80}', "listen: only a tcp service"),
        (b'{"mode":"http","headers":{"request":{"set":{"A B":"c"}}}}', "'A B' is no name"),
        (
            b'{"mode":"http","headers":{"request":{"set":{"A":"c\\r\\nEvil: 1"}}}}',
            "control character",
        ),
        (b'{"mode":"http","preview":{"networks":[]}}', "preview.networks: "),
        (
            b'{"mode":"http","preview":{"networks":["10.0.0.0/8","2002:a00::/24"]}}',
            "preview.networks[1]: no client's address is told as one of 2002:a00::/24",
        ),
        (
            b'{"mode":"http","preview":{"networks":["10.0.0.0/8"],"hosts":{"a":"*.example"}}}',
            "preview.hosts.a: write one host, without *",
        ),
        (
            b'{"mode":"http","preview":{"networks":["::/0"],"hosts":{"a":"x.example","b":"x.example"}}}',
            "preview.hosts.b: x.example leads to a already",
        ),
        (
            b'{"mode":"http","preview":{"networks":["::/0"],"hosts":{"A":"x.example"}}}',
            "'A' cannot stand in a key",
        ),
        (
            b'{"mode":"tcp","listen":80,"preview":{"networks":["10.0.0.0/8"]}}',
            "preview: only an http service",
        ),
        (b'{"mode":"http","owner":""}', "owner: it is empty"),
        (b'{"mode":"http","a\\nb":1}', r"a\nb: no such field"),
        (b"\xff\xfe", "no JSON object in UTF-8"),
        (b'{"mode":"http"', "no JSON object"),
    ],
)
def test_a_bad_service_is_named_with_its_field(value: bytes, said: str) -> None:
    with pytest.raises(BadKey) as caught:
        read("services/shop/cart", value)
    assert str(caught.value).startswith("services/shop/cart: ")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "address",
    ["127.1", "2130706433", "0x7f.1", "0.0.0.0", "::", "*", "", "unix@/run/x.sock", "/run/x.sock",
     "abns@x", "localhost", "10.0.0.1:80", "10.0.0.1 check", "fe80::1%eth0", "224.0.0.1"],
)  # fmt: skip
def test_an_address_that_haproxy_would_misread_is_refused(address: str) -> None:
    value = msgspec.json.encode({"servers": [{"name": "a", "address": address, "port": 80}]})
    with pytest.raises(BadKey, match=r"servers\[0\]\.address"):
        read("endpoints/shop/cart/default", value)


@pytest.mark.parametrize("port", [0, -1, 65536, 99999, "80", 1.5, True, None])
def test_a_port_out_of_range_is_refused(port: object) -> None:
    value = msgspec.json.encode({"servers": [{"name": "a", "address": "10.0.0.1", "port": port}]})
    with pytest.raises(BadKey, match=r"servers\[0\]\.port"):
        read("endpoints/shop/cart/default", value)


def test_two_servers_of_one_name_are_refused() -> None:
    server = {"name": "a", "address": "10.0.0.1", "port": 80}
    with pytest.raises(BadKey, match="two are named 'a'"):
        read("endpoints/shop/cart/default", msgspec.json.encode({"servers": [server, server]}))


def test_a_route_that_sends_traffic_nowhere_is_refused() -> None:
    with pytest.raises(BadKey, match="every weight is 0"):
        read("routes/shop/cart", b'{"groups":{"blue":0,"green":0}}')
    assert read("routes/shop/cart", b'{"groups":{"blue":1}}') == RouteRecord({"blue": 1})


@pytest.mark.parametrize("empty", ["allow", "cors.origins", "auth.users"])
def test_an_empty_list_does_not_switch_off_what_protects(empty: str) -> None:
    """Whoever writes `allow: []` means nobody, and must not let in everybody."""
    fields = {"allow": [], "cors.origins": {"origins": []}, "auth.users": {"users": {}}}
    value = msgspec.json.encode({"mode": "http", empty.partition(".")[0]: fields[empty]})
    with pytest.raises(BadKey, match=f"{empty}: it is empty: write at least one"):
        read("services/shop/cart", value)


def test_an_empty_list_of_servers_is_good() -> None:
    assert read("endpoints/shop/cart/default", b'{"servers":[]}') == EndpointsRecord(())


@pytest.mark.parametrize(
    "key",
    ["services/Shop/cart", "services/shop", "services/shop/cart/x", "services//cart",
     "endpoints/shop/cart", "services/shop/-cart", "services/shop/" + "a" * 64, "settings/other"],
)  # fmt: skip
def test_a_key_that_is_nearly_one_of_the_contract_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match=r"not of the form|no such settings key"):
        parse_key(key)


def test_keys_of_others_are_none_of_our_business() -> None:
    assert parse_key("agents/lb1") is None
    assert parse_key("proxy/frontends/7") is None
    assert parse_key("endpoints/shop/cart/blue") == Key(
        "endpoints", ServiceId("shop", "cart"), "blue"
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from([f.encode_name for f in msgspec.structs.fields(ServiceRecord)])


@given(st.dictionaries(FIELDS, JSON, max_size=4))
def test_any_json_in_any_field_is_a_named_error_or_a_record(fields: dict[str, object]) -> None:
    value = msgspec.json.encode({"mode": "http", **fields})
    try:
        record = read("services/shop/cart", value)
    except BadKey as error:
        assert error.key == "services/shop/cart"
        assert "\n" not in error.reason
        return
    assert isinstance(record, ServiceRecord)
    assert read("services/shop/cart", encode(record)) == record


@given(
    st.sampled_from(["services/a/b", "endpoints/a/b/c", "routes/a/b", "settings/global"]),
    st.binary(),
)
def test_any_bytes_are_a_named_error_or_a_record(key: str, value: bytes) -> None:
    try:
        read(key, value)
    except BadKey as error:
        assert error.key == key


@pytest.mark.parametrize("field", ["request", "response"])
def test_headers_that_would_not_fit_are_refused_with_their_size(field: str) -> None:
    def value(size: int) -> bytes:
        change = {"set": {"X-A": "a" * 4000}, "add": {"X-B": "é" * ((size - 4000 - 14) // 2)}}
        return msgspec.json.encode({"mode": "http", "headers": {field: change}})

    read("services/shop/cart", value(8192))
    with pytest.raises(BadKey, match=rf"headers\.{field}: .* has 8194 bytes; at most 8192"):
        read("services/shop/cart", value(8194))


def test_weights_that_would_keep_haproxy_busy_for_minutes_are_refused_with_their_sum() -> None:
    def group(count: int) -> bytes:
        one = {"address": "10.0.0.1", "port": 80, "weight": 256}
        return json.dumps({"servers": [one | {"name": f"s{n}"} for n in range(count)]}).encode()

    key = "endpoints/shop/cart/blue"
    parsed = parse_key(key)
    assert parsed is not None
    decode(key, parsed, group(100))
    with pytest.raises(BadKey, match="their weights add up to 25856; at most 25600"):
        decode(key, parsed, group(101))
