"""The act with two balancers: a new version gets the traffic once both have proved it, and loses it when it is bad."""

import subprocess

from demo.acts import SHOP_HOST, confirmed, require, server_of, timed
from demo.stage import Stage
from demo.terminal import Terminal
from harness.wait import wait_until

_SHOP = "shop/storefront"
_ASKED = 20


def switch(stage: Stage, tell: Terminal) -> None:
    """Blue to green and back, then to a green that turns bad."""
    tell.step("Switch the storefront to its green version, on two balancers")
    second = stage.second
    second.write_settings()
    second.lbsync("prepare")
    second.haproxy.start()
    second.start_agent()
    wait_until("the second agent's first pass", lambda: confirmed(second), timeout=60)
    tell.did(f"a second balancer, {second.host}, at http://127.0.0.1:{second.http_port}")
    stage.put(f"endpoints/{_SHOP}/green", {"servers": [server_of(web) for web in stage.green]})
    tell.did("green-1 and green-2 join endpoints/shop/storefront/green, without traffic")
    tell.did(f"lbsync switch {_SHOP} green --wait --watch 1s")
    tell.heard(stage.first.lbsync("switch", _SHOP, "green", "--wait", "--watch", "1s"))
    _all_from(stage, "green")
    tell.proved(f"{_ASKED} requests later on each balancer: green alone answers")
    tell.did(f"lbsync deploy rollback {_SHOP} --wait --watch 0")
    back = timed(lambda: stage.first.lbsync("deploy", "rollback", _SHOP, "--wait", "--watch", "0"))
    _all_from(stage, "web")
    tell.proved("blue was kept warm, and has the traffic back on both", back)
    _turn_bad(stage, tell)


def _turn_bad(stage: Stage, tell: Terminal) -> None:
    """A server of green fails its checks after the switch."""
    tell.did(f"lbsync switch {_SHOP} green --wait --watch 30s")
    command = stage.first.lbsync_begun("switch", _SHOP, "green", "--wait", "--watch", "30s")
    try:
        for line in command.stdout or ():
            tell.heard(line)
            if " converged " in line and stage.green[1].health == 200:
                tell.did("green-2 turns bad: its /health answers 503")
                stage.green[1].health = 503
        code = command.wait(30)
    except subprocess.TimeoutExpired:
        command.kill()
        raise
    require(code == 11, f"it is rolled back by itself (exit code 11), not {code}")
    _all_from(stage, "web")
    tell.proved("blue answers again on both balancers, and nobody had to be awake")


def _all_from(stage: Stage, version: str) -> None:
    """Raise unless every answer on both balancers is one of this version's servers."""
    for balancer in (stage.first, stage.second):
        answers = [balancer.ask(SHOP_HOST) for _ in range(_ASKED)]
        wrong = [answer for answer in answers if not answer.body.startswith(f"{version}-")]
        require(not wrong, f"{balancer.host} answers from {version} alone, not {wrong[:1]}")
