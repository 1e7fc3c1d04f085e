"""The statistics page and HAProxy's metrics, for those who may see them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.site import Site, basic, crypt


@pytest.fixture(scope="module")
def guarded(build: Callable[..., Site], tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site whose statistics want a password, and let in clients from 127.0.0.1 and 127.0.0.2."""
    users = tmp_path_factory.mktemp("statistics") / "users"
    users.write_text(f"ann:{crypt('s3cret')}\n")
    site = build(
        proxy=f'stats_allow = ["127.0.0.0/30", "127.0.0.9"]\nstats_users_file = "{users}"\n',
        more='[agent]\nreload_interval = "1h"\n',  # which holds up no loss of access
    )
    site.start()
    return site


def test_statistics_want_a_password_from_networks_that_may_ask(guarded: Site) -> None:
    def ask(path: str, user: str = "", client: str = "127.0.0.1") -> int:
        headers = basic(*user.split(":")) if user else {}
        return guarded.get(
            "x", path, port=guarded.stats_port, headers=headers, client=client
        ).status

    for path in ("/", "/metrics", "/;csv"):
        assert [ask(path), ask(path, "ann:wrong"), ask(path, "eve:s3cret")] == [401] * 3
        assert ask(path, "ann:s3cret", "127.0.0.2") == 200
        assert ask(path, "ann:s3cret", "127.0.0.4") == 403


def test_who_may_see_statistics_follows_the_file_and_stays_when_it_is_gone(guarded: Site) -> None:
    def ask(user: str) -> int:
        return guarded.get("x", port=guarded.stats_port, headers=basic(user, "s3cret")).status

    users = Path(guarded.agent.settings.proxy.stats_users_file or "")
    for before, now in (("ann", "eve"), ("eve", "bob")):
        users.write_text(users.read_text().replace(f"{before}:", f"{now}:"))
        guarded.run_pass()
        assert (ask(before), ask(now)) == (401, 200)
    users.unlink()
    guarded.reconfigure()
    outcome = guarded.agent.run_pass()
    assert f"{users} cannot be read" in outcome.error
    assert (ask("ann"), ask("bob")) == (401, 200)
