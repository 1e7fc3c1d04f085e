"""Changes as a Kubernetes cluster makes them: mostly deployments, now and then a service's settings."""

import random

Keys = dict[str, object]
"""Key to what is written; None: it is deleted."""

#: How often each kind of change is made, per hundred.
_MIX = {
    "deployment": 45,
    "scaled": 12,
    "weight": 5,
    "state": 7,
    "route": 6,
    "host": 5,
    "came or went": 19,
    "settings": 1,
}
#: What most services of a cluster have in common.
_USUAL: list[Keys] = [
    {},
    {"timeouts": {"server": "30s"}},
    {"balance": "leastconn"},
    {"check": {"type": "http", "path": "/health"}},
]
_DEFAULT = "endpoints/{}/default"
#: Asked for all the time: its pods are replaced, its settings change, and it never goes.
BUSY = "soak/busy"
_BUSY_SHARE = 0.15


class Cluster:
    """Services of several pods each, at random from a seed."""

    def __init__(self, seed: int, size: int, ports: list[int]) -> None:
        """`size`: about so many services; `ports` of 127.0.0.1 answer whatever pod they stand for."""
        self._random = random.Random(seed)
        self._size = size
        self._ports = ports
        self._made = 0
        self._records: dict[str, Keys] = {}
        self._servers: dict[str, list[dict[str, object]]] = {}
        self._routed: set[str] = set()

    def begin(self) -> list[Keys]:
        """Return what makes each of the first services."""
        return [self._come(BUSY), *(self._come() for _ in range(self._size - 1))]

    def next(self) -> tuple[str, Keys]:
        """Return one change: its kind, and the keys it writes."""
        kind = self._random.choices(list(_MIX), list(_MIX.values()))[0]
        name = BUSY
        if kind == "came or went":
            missing = self._size - len(self._records)
            if self._random.random() < 0.5 + missing / self._size:
                return "new service", self._come()
            kind = "removed service"
        if kind == "removed service" or self._random.random() >= _BUSY_SHARE:
            name = self._random.choice([each for each in self._records if each != BUSY])
        change = {
            "deployment": self._replace,
            "scaled": self._scale,
            "weight": self._weigh,
            "state": self._set_state,
            "route": self._route,
            "host": self._name,
            "settings": self._settle,
            "removed service": self._go,
        }[kind]
        return kind, change(name)

    def _come(self, name: str = "") -> Keys:
        self._made += 1
        name = name or f"soak/s{self._made}"
        self._records[name] = {
            "mode": "http",
            "hosts": [f"{name.replace('/', '-')}.example"],
            **self._random.choice(_USUAL),
        }
        self._servers[name] = [self._pod() for _ in range(self._random.randint(2, 4))]
        return {f"services/{name}": self._records[name], **self._pods_of(name)}

    def _go(self, name: str) -> Keys:
        del self._records[name], self._servers[name]
        keys = [f"services/{name}", _DEFAULT.format(name)]
        if name in self._routed:
            self._routed.remove(name)
            keys += [f"routes/{name}", f"endpoints/{name}/green"]
        return dict.fromkeys(keys)

    def _replace(self, name: str) -> Keys:
        """One step of a deployment: a new pod for the oldest one."""
        self._servers[name] = [*self._servers[name][1:], self._pod()]
        return self._pods_of(name)

    def _scale(self, name: str) -> Keys:
        pods = self._servers[name]
        if len(pods) > 2 and self._random.random() < 0.5:
            self._servers[name] = pods[:-1]
        else:
            self._servers[name] = [*pods, self._pod()]
        return self._pods_of(name)

    def _weigh(self, name: str) -> Keys:
        self._random.choice(self._servers[name])["weight"] = self._random.randint(1, 20)
        return self._pods_of(name)

    def _set_state(self, name: str) -> Keys:
        """All are up, but for at most one of several, that drains or is in maintenance."""
        pods = self._servers[name]
        for pod in pods:
            pod["state"] = "up"
        self._random.choice(pods)["state"] = self._random.choice(["up", "drain", "maint"])
        return self._pods_of(name)

    def _route(self, name: str) -> Keys:
        """Some of the traffic, or all of it, goes to another group; or none does any more."""
        if name in self._routed and self._random.random() < 0.3:
            self._routed.remove(name)
            return dict.fromkeys((f"routes/{name}", f"endpoints/{name}/green"))
        self._routed.add(name)
        shares = self._random.choice([(9, 1), (1, 1), (0, 1)])
        return {
            f"endpoints/{name}/green": {"servers": [self._pod(), self._pod()]},
            f"routes/{name}": {"groups": dict(zip(("default", "green"), shares, strict=True))},
        }

    def _name(self, name: str) -> Keys:
        record = self._records[name]
        own = f"{name.replace('/', '-')}"
        more = [[], [f"www.{own}.example"], [f"{own}.test", f"www.{own}.test"]]
        record["hosts"] = [f"{own}.example", *self._random.choice(more)]
        return {f"services/{name}": record}

    def _settle(self, name: str) -> Keys:
        """Settings that others have, or some that nobody has."""
        own: Keys = {"timeouts": {"server": f"{self._random.randint(10_000, 90_000)}ms"}}
        usual = self._random.choice(_USUAL)
        kept = {key: self._records[name][key] for key in ("mode", "hosts")}
        self._records[name] = {**kept, **self._random.choice([own, usual])}
        return {f"services/{name}": self._records[name]}

    def _pod(self) -> dict[str, object]:
        self._made += 1
        port = self._random.choice(self._ports)
        return {"name": f"pod-{self._made}", "address": "127.0.0.1", "port": port}

    def _pods_of(self, name: str) -> Keys:
        return {_DEFAULT.format(name): {"servers": self._servers[name]}}
