"""The acts with one balancer. Each does one thing to etcd and proves by requests what became of it."""

import time
from collections.abc import Callable

from demo.balancer import PREFIX, Balancer
from demo.stage import Stage
from demo.terminal import Terminal
from demo.traffic import Crowd
from harness.wait import wait_until
from harness.web import WebServer

SHOP_HOST = "shop.example.com"
BLOG_HOST = "blog.example.com"
_BLUE = "endpoints/shop/storefront/blue"


class Broken(Exception):
    """Raised when a step did not do what it promises."""


def require(truth: bool, promise: str) -> None:
    """Raise `Broken` unless it is true."""
    if not truth:
        raise Broken(promise)


def timed(act: Callable[[], object]) -> float:
    """Return how many seconds `act` took."""
    began = time.monotonic()
    act()
    return time.monotonic() - began


def server(stage: Stage, number: int) -> dict[str, object]:
    """Return one of the web servers as the contract describes it; counted from 1."""
    return server_of(stage.web[number - 1])


def server_of(web: WebServer) -> dict[str, object]:
    """Return a web server as the contract describes it."""
    return {"name": web.name, "address": "127.0.0.1", "port": web.port}


def start(stage: Stage, tell: Terminal) -> None:
    """Bring everything up, HAProxy with a first generation that knows no service."""
    first = stage.first
    tell.step("Start etcd, three web servers, HAProxy and the agent")
    first.write_settings()
    tell.did(f"etcd at {stage.etcd.start().node.url}")
    tell.did("web servers " + ", ".join(f"{web.name} at {web.address}" for web in stage.web))
    first.lbsync("prepare")
    first.haproxy.start()
    tell.did(
        f"HAProxy {first.haproxy_version()}, master and worker, at http://127.0.0.1:{first.http_port}"
    )
    first.start_agent()
    tell.did(f"lbsync agent, process {first.agent.pid if first.agent else 0}")
    digest = wait_until("the agent's first pass", lambda: confirmed(first), timeout=60)
    tell.did(f"its first pass is confirmed: HAProxy serves generation {digest}")
    answer = first.ask(SHOP_HOST)
    require(answer.status == 404, "a host that no service claims gets a 404")
    tell.proved(f"GET http://{SHOP_HOST}/ gets a {answer.status}: nobody claims that host yet")


def confirmed(balancer: Balancer) -> str:
    """Return the digest that HAProxy was proved to serve; empty while nothing is proved."""
    now = balancer.status()
    return now.digest if now.state == "confirmed" else ""


def load_shop(stage: Stage, tell: Terminal) -> None:
    """Load the example into etcd; the first requests are answered through HAProxy."""
    shop = stage.shop()
    tell.step("Load the example set of services into etcd")
    tell.did(f"{len(shop)} keys from examples/shop: " + ", ".join(shop))

    def load() -> None:
        # One transaction would do as well; the agent takes keys that come together together.
        for key, value in shop.items():
            stage.put(key, value)

    wrote = timed(load)
    took = timed(lambda: stage.first.wait_for("the storefront", SHOP_HOST, "/", ("web-1", "web-2")))
    tell.did(f"written in {wrote * 1000:.0f} ms")
    tell.proved(
        f"GET http://{SHOP_HOST}/ is answered by the storefront, after the last write", took
    )
    stage.first.wait_for("the cart", SHOP_HOST, "/cart/7", ("web-1", "web-2"))
    stage.first.wait_for("the pictures", "cdn.img.example.com", "/cat.png", ("web-2", "web-3"))
    tell.proved(
        "so are /cart/7, by the longest path, and cdn.img.example.com, by *.img.example.com"
    )


def add_server(stage: Stage, tell: Terminal) -> None:
    """One more server takes its share."""
    tell.step("Add a server")
    servers = [server(stage, number) for number in (1, 2, 3)]
    tell.did(f"web-3 joins {_BLUE}")

    def add() -> None:
        stage.put(_BLUE, {"servers": servers})
        stage.first.wait_for("web-3", SHOP_HOST, "/", ("web-3",))

    tell.proved("web-3 answers for the storefront", timed(add))
    seen = {stage.first.ask(SHOP_HOST).body for _ in range(30)}
    require(seen == {"web-1", "web-2", "web-3"}, f"all three servers answer, not only {seen}")
    tell.proved("thirty requests later each of the three has had its share")


def add_service(stage: Stage, tell: Terminal) -> None:
    """A service nobody knew a moment ago."""
    tell.step("Add a new service")
    require(stage.first.ask(BLOG_HOST).status == 404, "the blog is not there before it is added")
    tell.did(f"services/shop/blog with host {BLOG_HOST}, endpoints/shop/blog/main with web-1")

    def add() -> None:
        stage.put("endpoints/shop/blog/main", {"servers": [server(stage, 1)]})
        stage.put("services/shop/blog", {"mode": "http", "hosts": [BLOG_HOST]})
        stage.first.wait_for("the blog", BLOG_HOST, "/", ("web-1",))

    tell.proved(f"GET http://{BLOG_HOST}/ is answered by web-1", timed(add))


def break_service(stage: Stage, tell: Terminal) -> None:
    """A bad key stops nobody: its service keeps its last good version, others go on changing."""
    tell.step("Break a service, while another changes")
    bad = {"mode": "http", "hosts": [SHOP_HOST], "paths": ["/cart"], "timeouts": {"server": "soon"}}
    tell.did('services/shop/cart is overwritten: {… "timeouts": {"server": "soon"}}')
    tell.did("endpoints/shop/blog/main moves the blog to web-2")

    def change() -> None:
        stage.put("services/shop/cart", bad)
        stage.put("endpoints/shop/blog/main", {"servers": [server(stage, 2)]})
        stage.first.wait_for("the blog on web-2", BLOG_HOST, "/", ("web-2",))

    tell.proved("the blog is answered by web-2: the rest goes on", timed(change))
    stage.first.wait_for("the cart's last good version", SHOP_HOST, "/cart/7", ("web-1", "web-2"))
    tell.proved("the cart is served as before: its last good version stays")
    reason = wait_until(
        "the agent to say why", lambda: refused(stage, "services/shop/cart"), timeout=60
    )
    tell.did("lbsync status gives the owner the reason:")
    tell.heard(reason)


def refused(stage: Stage, key: str) -> str:
    """Return the reason that the agent gives for refusing a key; empty when it gives none."""
    reasons = [item.reason for item in stage.first.status().quarantined if item.key == key]
    return f"{key}: {reasons[0]}" if reasons else ""


def wipe(stage: Stage, tell: Terminal) -> None:
    """An emptied store does not empty the balancer."""
    tell.step("Delete every key in etcd")
    tell.did(f"etcdctl del --prefix {PREFIX}")
    stage.etcd.delete(PREFIX, "--prefix")
    held = wait_until("the guard to hold it", lambda: stage.first.status().held, timeout=60)
    tell.did("lbsync status says what waits for a confirmation:")
    tell.heard(held)
    for host, path in ((SHOP_HOST, "/"), (SHOP_HOST, "/cart/7"), (BLOG_HOST, "/")):
        answer = stage.first.ask(host, path)
        require(answer.status == 200, f"{host}{path} is still served, not {answer.status}")
    tell.proved("the storefront, the cart and the blog are still served: the removal is held")


def load_again(stage: Stage) -> None:
    """Load the example again after the wipe, and confirm that what came to it since then goes."""
    emptied = stage.first.status().hold_id
    for key, value in stage.shop().items():
        stage.put(key, value)
    wait_until("the example to be served", lambda: _settled(stage, emptied), timeout=60)


def _settled(stage: Stage, emptied: str) -> bool:
    """Confirm what is held, but for the emptied store; tell whether nothing is held any more. As the keys come one by
    one, what is held changes on the way."""
    held = {stage.first.status().hold_id, stage.second.status().hold_id} - {""}
    for hold in held - {emptied}:
        stage.first.lbsync("confirm", "--fleet", hold, "--yes", check=False)
    return not held


def count_lost(crowd: Crowd, tell: Terminal) -> None:
    """Two clients asked all the while; not one request may be lost."""
    tell.step("And all the while")
    require(crowd.answered > 0, "two clients asked all the while")
    if crowd.lost:
        tell.heard("\n".join(crowd.lost[:5]))
    require(not crowd.lost, f"no request is lost, but {len(crowd.lost)} of {crowd.answered} were")
    tell.proved(
        f"{crowd.answered} requests of two clients, one on a kept connection, one on a new one each "
        "time: none failed"
    )
