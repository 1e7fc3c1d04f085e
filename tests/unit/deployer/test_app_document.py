"""An app's document: what is taken, what is refused, and that everything wrong is told at once."""

import re
import textwrap
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbsync.cli.main import _told
from lbsync.deployer.kubernetes import document, manifests
from lbsync.deployer.kubernetes.document import App, AppRefused
from lbsync.deployer.kubernetes.publication import published
from lbsync.deployer.kubernetes.warnings import warnings
from lbsync.errors import Rejected
from tests.contract_strategies import ANYTHING, of_record

WHOLE = b"""
namespace: shop
name: cart
image: registry.example.com/shop/cart:1.7
port: 8080
replicas: 3
service:
  hosts: [cart.example.com]
  paths: [/cart]
  check: {path: /healthz, interval: 1s}
env:
  LEVEL: info
  PASSWORD: {secret: cart-db, key: password}
resources: {requests: {cpu: 100m, memory: 64Mi}, limits: {memory: 128Mi}}
grace: 2m
probe: {path: /ready, good: 5, timeout: 500ms}
"""


def problems_of(text: bytes) -> list[str]:
    with pytest.raises(AppRefused) as refused:
        document.read(text)
    return refused.value.problems


def test_a_document_says_all_that_makes_an_app() -> None:
    app = document.read(WHOLE)
    assert str(app.id) == "shop/cart"
    assert app.service.hosts == ("cart.example.com",)
    assert app.service.mode == "http"
    assert app.probe and (app.probe.good, app.probe.timeout, app.probe.interval) == (5, 500, 1000)
    assert document.from_plain(document.to_plain(app)) == app
    assert document.read(msgspec.json.encode(document.to_plain(app))) == app


def test_what_is_wrong_with_a_document_is_told_a_line_each() -> None:
    told = _told(AppRefused(["name: required, but missing", "kind: no such field; take it out"]))
    assert told == [
        "the app is refused, as 2 things are wrong:",
        "name: required, but missing",
        "kind: no such field; take it out",
    ]


def test_the_image_of_the_command_line_takes_the_place_of_the_documents() -> None:
    assert document.read(WHOLE, image="cart:2").image == "cart:2"
    with pytest.raises(AppRefused, match="image: 'Cart' is no image"):
        document.read(WHOLE, image="Cart")


def test_everything_wrong_is_told_at_once_with_place_and_cure() -> None:
    """Of fields by themselves, and of what they have to do with each other."""
    found = problems_of(b"""
namespace: Shop
replica: 3
service: {check: {pth: /x}, listen: 5, source: me}
env: {A: "b\\0"}
probe: {path: ready, timeout: 2}
grace: 5ms
""")
    starts = [
        "namespace: 'Shop' cannot name a namespace",
        "replica: no such field; did you mean replicas?",
        "service.check.pth: no such field; did you mean path?",
        "probe.path: 'ready' is no path for a request",
        "probe.timeout: 2 is no duration",
        "name: required, but missing",
        "port: required, but missing",
        "service.listen: only a tcp service",
        "service.source: the publisher writes it",
        "service.hosts: required for an http service",
        "env.A: it holds a NUL character",
        "grace: Kubernetes counts it in whole seconds",
        "image: required, but missing",
    ]
    for start in starts:
        assert any(problem.startswith(start) for problem in found), (start, found)
    assert len(found) == len(starts)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"[]", "the document is no object"),
        (b"a: b: c", "neither YAML nor JSON: line 1"),
        (b"name: a\nname: b\n", "line 2: name is given twice"),
        (b"\xff", "neither YAML nor JSON"),
        (b"env: {on: 1}", "env.True: the name is no text: put it in quotes"),
        (b"env: {A: 2026-01-01}", "env.A: it is a date: put it in quotes"),
        (b"env: {A: .nan}", "env.A: it is no number of JSON"),
        (b"env: {A: 3}", "env.A: it is a number: write text in quotes or an object"),
        (b"pod: " + b"{a: " * 120 + b"}" * 120, "nested too deeply"),
        (b"x" * (1 << 21), "has 2097152 bytes"),
        (b"strategies: 1", "strategies: no such field"),
    ],
)
def test_what_is_no_document_is_refused_in_one_sentence(text: bytes, problem: str) -> None:
    assert any(problem in found for found in problems_of(text))


TEMPLATE = """
namespace: shop
name: cart
port: 8080
service: {mode: tcp, listen: 5432}
"""


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ("pod: {spec: {}}", "pod.spec.containers: required"),
        ("pod: {spec: {containers: [3]}}", "pod.spec.containers[0]: it is no container"),
        ("pod: {spec: {containers: [{image: a}]}}", "pod.spec.containers[0].name: required"),
        ("pod: {spec: {containers: [{name: a}]}}", "pod.spec.containers[0].image: required"),
        ("pod: {spec: {containers: [{name: a, image: a}, {name: a}]}}", "two containers are named 'a'"),
        ("container: b\npod: {spec: {containers: [{name: a, image: a}]}}", "no container 'b'"),
        ("container: b\nimage: a", "there is none"),
        ("args: [x]\npod: {spec: {containers: [{name: a, image: a}]}}", "args: the template in pod"),
        ("pod: {spec: {containers: [{name: a, image: a}], hostNetwork: true}}", "hostNetwork: two"),
        ("pod: {spec: {containers: [{name: a, image: a}], restartPolicy: Never}}", "restarted always"),
        (
            "pod: {metadata: {labels: {lbsync.io/app: x}}, spec: {containers: [{name: a, image: a}]}}",
            "pod.metadata.labels.lbsync.io/app: names that begin with lbsync.io/",
        ),
        ("env: {A: b}\npod: {spec: {containers: [{name: a, image: a, env: [{name: A}]}]}}", "env.A: pod"),
    ],
)  # fmt: skip
def test_a_template_of_ones_own_is_looked_at_as_far_as_it_is_touched(
    more: str, problem: str
) -> None:
    assert any(problem in found for found in problems_of((TEMPLATE + more).encode()))


@given(ANYTHING | of_record(App))
@settings(max_examples=80)
def test_any_document_is_an_app_or_refused(raw: Any) -> None:
    """An app goes through JSON unchanged; the publisher makes of its Service the record it asks for; and
    what is told of one that is refused fits on a line."""
    try:
        app = document.from_plain(raw)
    except AppRefused as refused:
        assert refused.problems
        assert all(problem.isprintable() and len(problem) <= 501 for problem in refused.problems)
        return
    assert document.from_plain(document.to_plain(app)) == app
    made = manifests.deployment(app, 9_999_999_999, "id")
    assert msgspec.json.decode(msgspec.json.encode(made)) == made
    assert len(made["metadata"]["name"]) <= 63
    assert manifests.is_ours(made["metadata"]["labels"], app.name)
    try:
        assert published(app) == app.service
        warnings(app)
    except Rejected as refusal:
        assert str(refusal)


@given(st.binary(max_size=200))
@settings(max_examples=200)
def test_any_bytes_are_an_app_or_refused(text: bytes) -> None:
    with pytest.raises(AppRefused):
        document.read(text)


PAGE = (Path(__file__).parents[3] / "docs/deployer.md").read_text()


def test_the_example_of_the_page_is_an_app_without_a_warning() -> None:
    example = textwrap.dedent(PAGE.partition("YAML or JSON:\n")[2].partition("\nFields that")[0])
    assert warnings(document.read(example.encode())) == []


@pytest.mark.parametrize("record", [App, document.Probe])
def test_the_page_names_every_field(record: type[App | document.Probe]) -> None:
    named = re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (.*?) \|", PAGE, re.MULTILINE)))
    assert {field.name for field in msgspec.structs.fields(record)} <= set(named)
