"""Hypothesis strategies for the contract, read off the records: a new field is tried at once.

Strings are near the valid ones, as likely as not hostile: what gets past validation is what matters.
"""

from typing import Any

from hypothesis import strategies as st
from msgspec import inspect

from lbsync.values import addresses, deploying, http, kubernetes, names, policies, rewriting
from lbsync.values.basic import Duration, Name, Pause

HOSTILE = [
    "", " ", "#", "a#b", "a b", '"', "'", "\\", "\\\\", "a\\", "$", "${HOME}", "$HOME", "%", "%[env(HOME)]",
    "%%", "%ci", "\n", "\r\n", "\t", "\0", "\x01", "\x02x\x03", "\x1e", "\x7f", "\x85", "é", "\u2028", "\ud800",
    "-f", "--", "-f /etc/passwd", "{ path / }", "} if TRUE", "if TRUE", "|", ",", ")", "(", "a,b)", "or", "*",
    "\nbackend evil\n", "x\n    http-request deny", "10.0.0.1\nserver evil 127.0.0.1:1", "unix@/run/x.sock",
    "../../etc/passwd", "/", "//", "%5c", ".if TRUE", "{{ 1 }}", "{% x %}", "a" * 300, "be_none", "'; x", "0",
]  # fmt: skip

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.sampled_from(HOSTILE),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(HOSTILE), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip

HASHES = [
    "$6$abcdefgh$" + "a" * 86,
    "$6$rounds=1000$ab./$" + "./09AZaz" * 10 + "abcdef",
]
#: Of an authority that nobody has the key of.
PEM = """\
-----BEGIN CERTIFICATE-----
MIIBbjCCARWgAwIBAgIULyscyhVVpNusNAGzVTNC0JST7y0wCgYIKoZIzj0EAwIw
DDEKMAgGA1UEAwwBeDAgFw0yNjExMjMxNjIwMzdaGA8yMTI2MTAzMDE2MjAzN1ow
DDEKMAgGA1UEAwwBeDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABAWjdV2mw1Pg
DBab8+6SCoKGjH9ZN2rpM9shVd4c4Lb7L+TgFu1yDar8UrFmt3ecsWhcoZcwHApy
mzEeB9gIv4WjUzBRMB0GA1UdDgQWBBT7KuO+qecCgXCM2NoBIWOR671aJTAfBgNV
HSMEGDAWgBT7KuO+qecCgXCM2NoBIWOR671aJTAPBgNVHRMBAf8EBTADAQH/MAoG
CCqGSM49BAMCA0cAMEQCIExTkdlMbimWt6QVZfcrB4PDPAPtXOHvekJmEUH61VqJ
AiAk/isHltoTACqnOKjho0I3OzfbE0jeqT9zu+T9dxcMdg==
-----END CERTIFICATE-----
"""
_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,5}[a-z0-9_])?"

NEAR: dict[type, st.SearchStrategy[str]] = {
    names.Host: st.from_regex(rf"(\*\.)?{_LABEL}(\.{_LABEL}){{0,2}}", fullmatch=True),
    names.PathPrefix: st.from_regex(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/-]{0,12}", fullmatch=True),
    Duration: st.from_regex(r"[1-9][0-9]{0,3}(ms|s|m|h)", fullmatch=True),
    names.Age: st.from_regex(r"[1-9][0-9]{0,2}(s|m|h|d)", fullmatch=True),
    names.Address: st.sampled_from(["10.0.0.1", "fd00::1", "::ffff:10.0.0.1", "127.0.0.1"])
    | st.from_regex(rf"{_LABEL}\.[a-z][a-z0-9-]{{0,4}}[a-z0-9]", fullmatch=True),
    names.ServerName: st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,12}", fullmatch=True),
    names.Token: st.from_regex(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,12}", fullmatch=True),
    names.Text: st.text(min_size=1, max_size=30)
    | st.lists(st.sampled_from([*" #\"'\\$%[](){},;", "%[env(HOME)]", "${HOME}"]), min_size=1).map("".join),
    http.HeaderName: st.from_regex(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,12}", fullmatch=True),
    http.CookieName: st.from_regex(r"[A-Za-z0-9_.-]{1,12}", fullmatch=True),
    http.UriPath: st.from_regex(r"/[!-~]{0,20}", fullmatch=True),
    http.StatusRange: st.from_regex(r"[1-5][0-9]{2}(-5[0-9]{2})?(,[1-5][0-9]{2}){0,3}", fullmatch=True),
    http.MimeType: st.from_regex(r"[a-z0-9.+-]{1,8}/[a-z0-9.+-]{1,8}", fullmatch=True),
    policies.UserName: st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.@+-]{0,9}", fullmatch=True),
    policies.PasswordHash: st.sampled_from(HASHES),
    policies.Realm: st.from_regex(r"[A-Za-z0-9 ._:,@/()+'-]{1,20}", fullmatch=True),
    policies.Origin: st.from_regex(rf"https?://(\*\.)?{_LABEL}\.{_LABEL}(:[1-9][0-9]{{0,3}})?", fullmatch=True)
    | st.just("*"),
    policies.Method: st.from_regex(r"[A-Z]{1,8}", fullmatch=True),
    policies.Certificates: st.just(PEM),
    rewriting.StripPaths: st.from_regex(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/-]{1,12}", fullmatch=True),
    rewriting.PathPattern: st.lists(
        st.sampled_from(["/", "a", r"\.", ".", "[^/]", "[a-z]+", "(b|c)", "(d)?", ".*", "'", r"\\", "(x.*)",
                         "{2}", "$", "^", "%", "[\\]]", "-"]), min_size=1, max_size=8).map("".join),
    rewriting.PathTarget: st.lists(
        st.sampled_from(["a", "\\1", "%", "$HOME", "'", "/", "(", "%[x]", "\\\\"]), max_size=6)
    .map(lambda parts: "/" + "".join(parts)),
    addresses.Network: st.sampled_from(["10.0.0.0/8", "192.0.2.7", "fd00::/8", "0.0.0.0/0", "::/0"]),
    Name: st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,9}[a-z0-9])?", fullmatch=True),
    Pause: st.from_regex(r"0|[1-9][0-9]{0,3}(ms|s|m|h)", fullmatch=True),
    deploying.Require: st.sampled_from(["all", "1", "67%"]),
    kubernetes.AppName: st.from_regex(r"[a-z]([-a-z0-9]{0,50}[a-z0-9])?", fullmatch=True),
    kubernetes.Namespace: st.from_regex(r"[a-z0-9]([-a-z0-9]{0,9}[a-z0-9])?", fullmatch=True),
    kubernetes.ObjectName: st.from_regex(r"[a-z0-9]([-a-z0-9]{0,9}[a-z0-9])?", fullmatch=True),
    kubernetes.SecretKey: st.from_regex(r"[-._A-Za-z0-9]{1,9}", fullmatch=True),
    kubernetes.EnvironmentName: st.from_regex(r"[-._A-Za-z][-._A-Za-z0-9]{0,9}", fullmatch=True),
    kubernetes.Quantity: st.from_regex(r"[0-9]{1,4}(m|Mi|Gi|\.5)?", fullmatch=True),
    kubernetes.LabelName: st.sampled_from(["cpu", "memory", "example.com/gpu", "team", "lbsync.io/app"]),
    kubernetes.Image: st.sampled_from(["cart", "cart:latest", "localhost:5000/a/b:1", "r.io/a@sha256:" + "a" * 64]),
    kubernetes.Words: st.text(max_size=12),
}  # fmt: skip


def of(kind: inspect.Type) -> st.SearchStrategy[Any]:
    """Values for one type of a record; one in eight is anything at all."""
    return st.integers(0, 7).flatmap(lambda die: ANYTHING if die == 0 else _near(kind))


def _near(kind: inspect.Type) -> st.SearchStrategy[Any]:
    if isinstance(kind, inspect.Metadata):
        return _near(kind.type)
    if isinstance(kind, inspect.UnionType):
        real = [option for option in kind.types if not _is_unset(option)]
        return st.one_of([_near(option) for option in real])
    if isinstance(kind, inspect.StructType):
        return record(kind)
    if isinstance(kind, inspect.CustomType):
        return NEAR[kind.cls]
    if isinstance(kind, inspect.AnyType):
        return ANYTHING
    return _plain(kind)


def _is_unset(kind: inspect.Type) -> bool:
    return isinstance(kind, inspect.CustomType) and kind.cls.__name__ == "UnsetType"


def _plain(kind: inspect.Type) -> st.SearchStrategy[Any]:
    if isinstance(kind, inspect.LiteralType):
        return st.sampled_from(list(kind.values))
    if isinstance(kind, inspect.BoolType):
        return st.booleans()
    if isinstance(kind, inspect.IntType):
        return st.integers(kind.ge or 0, kind.le if kind.le is not None else 2**40)
    if isinstance(kind, inspect.VarTupleType):
        return st.lists(of(kind.item_type), min_size=kind.min_length or 0, max_size=4)
    if isinstance(kind, inspect.DictType):
        keys, inner = _near(kind.key_type), _near(kind.value_type)
        return st.dictionaries(keys, inner, min_size=kind.min_length or 0, max_size=4)
    assert isinstance(kind, inspect.StrType), kind
    return st.sampled_from(HOSTILE) | st.text(max_size=8)


def record(kind: inspect.StructType) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with all required fields and some of the others; all of them valid, or one in eight
    of the fields anything."""
    required = {f.encode_name: _near(f.type) for f in kind.fields if f.required}
    optional = {f.encode_name: of(f.type) for f in kind.fields if not f.required}
    return st.fixed_dictionaries(required, optional=optional)


def of_record(cls: type) -> st.SearchStrategy[dict[str, Any]]:
    """Documents for one kind of key."""
    found = inspect.type_info(cls)
    assert isinstance(found, inspect.StructType)
    return record(found)
