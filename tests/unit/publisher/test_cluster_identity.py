"""Two clusters never take turns under one name."""

from lbsync.clients.source import Expect
from lbsync.errors import Rejected, Unavailable
from lbsync.publisher.cluster.identity import ClusterIdentity
from tests.fakes import FakeSource

KEY = "publishers/blue/origin"


def origin(store: FakeSource, uid: str, *, adopt: bool = False) -> ClusterIdentity:
    return ClusterIdentity(store, "blue", f"https://{uid}", lambda: uid, adopt=adopt)


def mark(store: FakeSource, found: ClusterIdentity) -> None:
    item = store.get("leader")
    fence = Expect("leader", create_revision=item.create_revision if item else 0)
    found.mark(store.snapshot(), fence)


def test_the_first_one_leaves_its_mark_and_another_stays_out() -> None:
    store = FakeSource()
    mark(store, origin(store, "one"))
    assert origin(store, "one").refusal(store.snapshot()) == ""
    why = origin(store, "two").refusal(store.snapshot())
    assert "https://one, one" in why
    assert "--adopt" in why


def test_a_name_can_be_taken_over_on_purpose_and_only_once() -> None:
    store = FakeSource()
    mark(store, origin(store, "one"))
    two = origin(store, "two", adopt=True)
    assert two.refusal(store.snapshot()) == ""
    mark(store, two)
    assert two.refusal(store.snapshot()) == ""
    assert origin(store, "one").refusal(store.snapshot())
    store.put(KEY, b'{"uid": "three", "server": "x"}')
    assert two.refusal(store.snapshot())


def without_uid(
    store: FakeSource, server: str = "https://one", authority: str = "ca"
) -> ClusterIdentity:
    """One whose account may not read the Service default/kubernetes."""

    def ask() -> str:
        raise Rejected("get services kubernetes in namespace default: forbidden (HTTP 403)")

    return ClusterIdentity(store, "blue", server, ask, authority_of=lambda: authority, adopt=False)


def with_uid(store: FakeSource, uid: str, authority: str = "ca") -> ClusterIdentity:
    return ClusterIdentity(
        store, "blue", "https://one", lambda: uid, authority_of=lambda: authority, adopt=False
    )


def test_who_may_not_know_its_uid_is_known_by_address_and_authority() -> None:
    store = FakeSource()
    mark(store, without_uid(store))
    assert store.get(KEY) is not None
    same = without_uid(store)
    assert same.refusal(store.snapshot()) == ""
    assert "get services kubernetes in namespace default" in same.notice
    assert "address and authority" in same.notice
    for other in (
        without_uid(store, authority="cb"),
        without_uid(store, "https://two"),
        with_uid(store, "two", authority="cb"),
    ):
        assert "is the name of another Kubernetes cluster" in other.refusal(store.snapshot())
        mark(store, other)
        assert same.refusal(store.snapshot()) == ""


def test_a_right_that_is_given_later_completes_the_mark_and_one_taken_away_leaves_it() -> None:
    store = FakeSource()
    mark(store, without_uid(store))
    known = with_uid(store, "one")
    assert known.refusal(store.snapshot()) == ""
    mark(store, known)
    assert b'"uid":"one"' in store.get(KEY).value  # type: ignore[union-attr]
    before = store.get(KEY)
    mark(store, without_uid(store))
    assert store.get(KEY) == before
    assert without_uid(store, authority="cb").refusal(store.snapshot())


def test_an_authority_that_is_exchanged_step_by_step_is_followed() -> None:
    store = FakeSource()
    for authority in ("old", "new old", "new"):
        found = without_uid(store, authority=authority)
        assert found.refusal(store.snapshot()) == ""
        mark(store, found)
    assert without_uid(store, authority="old").refusal(store.snapshot())


def test_where_only_the_address_is_known_it_counts_and_that_is_told() -> None:
    store = FakeSource()
    mark(store, without_uid(store, authority=""))
    same = without_uid(store, authority="")
    assert same.refusal(store.snapshot()) == ""
    assert "address alone" in same.notice
    assert without_uid(store, "https://two", authority="").refusal(store.snapshot())


def test_the_uid_is_asked_for_again_once_it_was_refused() -> None:
    answers: list[Exception | str] = [Rejected("forbidden"), "one"]
    now = 0.0

    def ask() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    store = FakeSource()
    found = ClusterIdentity(store, "blue", "x", ask, adopt=False, clock=lambda: now)
    mark(store, found)
    assert found.notice
    now = 31.0
    mark(store, found)
    assert found.notice == ""
    assert b'"uid":"one"' in store.get(KEY).value  # type: ignore[union-attr]


def test_an_api_server_that_is_away_is_no_reason_and_asked_again_later() -> None:
    answers: list[str | None] = [None, "one"]
    now = 0.0

    def ask() -> str:
        answer = answers.pop(0)
        if answer is None:
            raise Unavailable("away")
        return answer

    store = FakeSource({KEY: b'{"uid": "two", "server": "x"}'})
    found = ClusterIdentity(store, "blue", "x", ask, adopt=False, clock=lambda: now)
    assert found.refusal(store.snapshot()) == ""
    assert found.refusal(store.snapshot()) == ""
    now = 31.0
    assert found.refusal(store.snapshot()) != ""
    assert answers == []


def test_one_who_lost_the_lead_leaves_no_mark() -> None:
    store = FakeSource({"leader": b"{}"})
    origin(store, "one").mark(store.snapshot(), Expect("leader", create_revision=99))
    assert store.get(KEY) is None


def test_a_mark_that_cannot_be_read_is_none() -> None:
    store = FakeSource({KEY: b"nonsense"})
    assert origin(store, "one").refusal(store.snapshot()) == ""


def test_a_service_of_the_cluster_made_anew_is_not_another_cluster() -> None:
    def of(uid: str, server: str = "https://one", authority: str = "ca") -> ClusterIdentity:
        return ClusterIdentity(
            store, "blue", server, lambda: uid, authority_of=lambda: authority, adopt=False
        )

    store = FakeSource()
    mark(store, of("one"))
    for other in (of("two", authority="cb"), of("two", authority=""), of("two", "https://two")):
        why = other.refusal(store.snapshot())
        assert "default/kubernetes was made anew" in why
        mark(store, other)
        assert of("one").refusal(store.snapshot()) == ""
    anew = of("two")
    assert anew.refusal(store.snapshot()) == ""
    mark(store, anew)
    assert b'"two"' in store.get(KEY).value  # type: ignore[union-attr]
    assert of("two", "https://other", "cb").refusal(store.snapshot()) == ""


def test_a_mark_of_an_older_version_learns_the_authority() -> None:
    store = FakeSource({KEY: b'{"uid": "one", "server": "https://one"}'})
    found = ClusterIdentity(
        store, "blue", "https://one", lambda: "one", authority_of=lambda: "ca", adopt=False
    )
    mark(store, found)
    assert b'"ca"' in store.get(KEY).value  # type: ignore[union-attr]
    before = store.get(KEY)
    mark(store, found)
    assert store.get(KEY) == before
