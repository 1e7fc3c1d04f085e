"""Documents that somebody hostile might write where lbsync reads JSON: near the contract, and broken.

Made from a seed, fast enough to try a hundred thousand of them.
"""

import json
import random

import msgspec

from lbsync.model.records import (
    AgentRecord,
    EndpointsRecord,
    GlobalRecord,
    QuarantineRecord,
    RouteRecord,
    ServerRecord,
    ServiceRecord,
)

#: Good documents to begin with, so that what is broken lies deep within.
_GOOD = [
    {"mode": "http", "hosts": ["a.example.com", "*.b.example"], "paths": ["/api"], "owner": "ann"},
    {"mode": "tcp", "listen": 5432, "allow": ["10.0.0.0/8"], "timeouts": {"server": "5s"}},
    {"mode": "http", "headers": {"request": {"set": {"X-A": "b"}, "del": ["Y"]}}, "hsts": True},
    {"mode": "http", "cors": {"origins": ["https://a.example"]}, "check": {"path": "/h", "rise": 2}},
    {"mode": "http", "rewrite": {"pattern": "/a/(.*)", "replacement": "/\\1"}, "compression": {}},
    {"servers": [{"name": "a", "address": "10.0.0.7", "port": 80, "weight": 3, "state": "up"}]},
    {"groups": {"blue": 1, "green": 0}, "source": "deploy/1"},
    {"https": "only"},
    {"revision": 7, "generation": 1, "digest": "ab", "applied_at": "", "verified_at": "", "haproxy": "",
     "state": "confirmed", "held": {"removal": "x"}},
    {"reason": "x", "revision": 7, "host": "lb-1", "since": "2026-01-01T00:00:00Z", "line": 3},
    {"identity": "a", "synced_at": "", "services": 3, "since": "", "uid": "u", "server": "s"},
    {"services": ["a/b"], "all": True, "revision": 7, "by": "ann"},
    {"at": "", "every_s": 1.0, "services": {"a/b": {"c": {"up": 1, "total": 2, "servers": [
        {"name": "x", "status": "UP", "check": "L7OK", "sessions": 3, "since_s": 9}]}}},
     "summary": {"at": "", "impaired": {"a/b": {"c": [1, 2]}}}},
    {"action": "drain", "hosts": ["lb-1"], "reason": "x", "by": "ann", "at": ""},
    {"since": "2026-01-01", "refused": "no", "conflicts": ["a"], "warnings": []},
    {"services": {"a/b": 1}, "by": "ann", "at": ""},
    {"provider": "kubernetes", "document": {"namespace": "shop", "name": "cart", "image": "a/b:1", "port": 80,
     "service": {"hosts": ["a.example"]}}},
    {"next": 3, "active": "20260102-100000-00000b", "live": {"group": "blue"}, "warm": [
        {"version": {"group": "red", "document": {"image": "a"}}, "until": "2026-01-01T00:00:00Z"}]},
    {"id": "20260102-100000-00000b", "provider": "groups", "action": "switch", "version": {"group": "green"},
     "phase": "switching", "step": 1, "strategy": {"steps": [10, 50], "watch": "1m"}, "revisions": {"staged": 7}},
    {"at": "2026-01-01T00:00:00Z", "phase": "staged", "text": "x"},
    {"group": "green", "strategy": {"steps": [5], "manual": True}},
    {"push_data": {"tag": "1.0"}, "repository": {"repo_name": "shop/cart"}},
    {"action": "published", "package": {"package_type": "CONTAINER", "package_version": {"package_url":
     "ghcr.io/a/b:1", "container_metadata": {"tag": {"name": "1", "digest": "sha256:ab"}}}}},
    {"kind": "Service", "metadata": {"name": "cart", "namespace": "shop", "resourceVersion": "7", "labels": {
     "lbsync.io/publish": "true"}, "annotations": {"lbsync.io/hosts": "a.example", "lbsync.io/paths": "/a"}},
     "spec": {"ports": [{"port": 80, "targetPort": "http"}], "clusterIP": "10.0.0.1", "type": "NodePort"}},
    {"kind": "ServiceList", "metadata": {"resourceVersion": "7", "continue": ""}, "items": [
        {"metadata": {"name": "cart"}, "endpoints": [{"addresses": ["10.0.0.1"]}], "status": {"conditions": []}}]},
    {"message": "no", "reason": "Expired", "code": 410, "details": {"retryAfterSeconds": 3, "causes": [{}]}},
    {"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1", "status": {"token": "t",
     "expirationTimestamp": "2026-01-01T00:00:00Z"}},
    {"state": "confirmed", "host": "lb-1", "pid": 1, "pid_namespace": "", "written_at": 1.0, "value": "x", "since": ""},
]  # fmt: skip
_KINDS = (
    *(ServiceRecord, EndpointsRecord, RouteRecord, GlobalRecord, ServerRecord),
    *(AgentRecord, QuarantineRecord),
)
_NAMES = sorted(
    {
        field.encode_name
        for kind in _KINDS
        for field in msgspec.structs.fields(kind)
    }
)  # fmt: skip
_ODD_NAMES = [
    "", "$", "[...]", "[0]", "a.b", "x` - at `$.mode", "` - at `$.hosts[0]", "a - at `$`", "a\nb", "\x1b[2J",
    "\ud800", "Object missing required field `mode`", "'", "mode ", "é", "a" * 5000, "\0", "$.groups[...]",
]  # fmt: skip
_ODD_VALUES: list[object] = [
    None, True, False, 0, -1, 2**63, 10**30, -(10**40), 1.5, 1e308, "", " ", "\ud800", "\udfff\ud800", "\0",
    "a - at `$.mode`", "x" * 5000, "١٢", "1e400", [], {}, [[]], {"a": {}}, "http", "10.0.0.1", "127.0.0.1/33",
    "::ffff:1.2.3.4%eth0", "9" * 5000 + "d", "1.2.3.4/" + "9" * 5000, "(" * 300, "\\" * 99, "[" * 99, "*.", "xn--",
    "a{99999999999}", "[z-a]", "(?P<x>", "\x1b]0;x\x07", "-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n",
]  # fmt: skip
_RAW = [
    b"NaN", b"Infinity", b"-Infinity", b"1e400", b"-1e400", b"9" * 5000, b"1" + b"0" * 400, b"0." + b"1" * 5000,
    b'"\\ud800"', b'"\\ud800\\ud800"', b'"\xff"', b'"\xed\xa0\x80"', b"nul", b"01", b"+1", b"'a'", b'"\n"',
    b"\xef\xbb\xbf{}", b"[" * 1100 + b"]" * 1100, b'{"a":' * 1500 + b"1" + b"}" * 1500, b"[" * 5000, b'{"a":1,"a":2}',
    b"[1,]", b"/**/1", b"1 1",
    b"\\u0000", b'"\\x"', b"-", b"-0", b"1E+2", b"[" * 930 + b"]" * 930, b'{"a":[' * 480 + b"]}" * 480,
]  # fmt: skip


def document(dice: random.Random) -> bytes:
    """Return one document."""
    kind = dice.random()
    if kind < 0.05:
        return dice.randbytes(dice.randrange(40))
    if kind < 0.1:
        return dice.choice(_RAW)
    base = _value(dice, 3) if kind < 0.2 else json.loads(json.dumps(dice.choice(_GOOD)))
    for _ in range(dice.randrange(4)):
        base = _changed(dice, base)
    text = _text(dice, base)
    for _ in range(dice.randrange(3) if kind > 0.7 else 0):
        text = _broken(dice, text)
    return text


def _value(dice: random.Random, depth: int) -> object:
    kind = dice.random()
    if depth == 0 or kind < 0.5:
        return dice.choice(_ODD_VALUES)
    if kind < 0.7:
        return [_value(dice, depth - 1) for _ in range(dice.randrange(4))]
    return {_name(dice): _value(dice, depth - 1) for _ in range(dice.randrange(4))}


def _name(dice: random.Random) -> str:
    return dice.choice(_ODD_NAMES if dice.random() < 0.3 else _NAMES)


def _changed(dice: random.Random, value: object) -> object:
    """Return the value with one thing in it that is another now."""
    if isinstance(value, dict) and value and dice.random() < 0.8:
        if dice.random() < 0.3:
            return value | {_name(dice): _value(dice, 2)}
        name = dice.choice(list(value))
        return value | {name: _changed(dice, value[name])}
    if isinstance(value, list) and value and dice.random() < 0.8:
        index = dice.randrange(len(value))
        return [*value[:index], _changed(dice, value[index]), *value[index + 1 :]]
    return _value(dice, 2)


def _text(dice: random.Random, value: object) -> bytes:
    """Return it as JSON, with a name given twice here and there."""
    if isinstance(value, dict):
        pairs = list(value.items())
        if pairs and dice.random() < 0.1:
            pairs.insert(dice.randrange(len(pairs) + 1), (dice.choice(pairs)[0], _value(dice, 2)))
        inner = [json.dumps(name).encode() + b":" + _text(dice, each) for name, each in pairs]
        return b"{" + b",".join(inner) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(_text(dice, each) for each in value) + b"]"
    return dice.choice(_RAW) if dice.random() < 0.02 else json.dumps(value).encode()


def _broken(dice: random.Random, text: bytes) -> bytes:
    if not text:
        return text
    at = dice.randrange(len(text))
    kind = dice.random()
    if kind < 0.3:
        return text[:at]
    if kind < 0.6:
        return text[:at] + dice.randbytes(dice.randrange(1, 4)) + text[at + 1 :]
    return text[:at] + dice.choice(_RAW) + text[at:]
