"""The sections for the agent itself: the top level, [etcd], [agent] and [log]."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from lbsync.values.addresses import Endpoint, GelfTarget, HttpBind
from lbsync.values.basic import Duration, FilePath, Pause


class Etcd(msgspec.Struct, frozen=True):
    """How to reach etcd. Used when `source` is `etcd`."""

    endpoints: Annotated[
        tuple[Endpoint, ...],
        Meta(
            min_length=1,
            description="The members' client URLs. One that answers is used, the others take over "
            "when it does not; so name them all. `https` switches TLS on.",
        ),
    ] = (Endpoint("http://127.0.0.1:2379"),)
    ca: Annotated[
        FilePath | None,
        Meta(description="PEM file with the authorities that sign the members' certificates. "
             "Empty: the system's."),
    ] = None  # fmt: skip
    cert: Annotated[
        FilePath | None,
        Meta(description="PEM file with the client certificate, for clusters that demand one."),
    ] = None
    key: Annotated[FilePath | None, Meta(description="PEM file with the key of `cert`.")] = None
    user: Annotated[
        str, Meta(description="User name, where etcd's authentication is on. Empty: none.")
    ] = ""
    password_file: Annotated[
        FilePath | None,
        Meta(description="File whose first line is the password of `user`; a file, so that the "
             "password shows neither in process lists nor in this one."),
    ] = None  # fmt: skip
    timeout: Annotated[
        Duration,
        Meta(extra={"min": "100ms", "max": "5m"},
             description="How long one call may take before the next endpoint is tried. 5s: an "
             "election takes 1 to 2 s, and a healthy call milliseconds."),
    ] = Duration(5_000)  # fmt: skip
    resync: Annotated[
        Duration,
        Meta(extra={"min": "1s", "max": "1d"},
             description="How often everything is read again and compared with what the watch "
             "gave, in case an event got lost."),
    ] = Duration(300_000)  # fmt: skip


class Agent(msgspec.Struct, frozen=True):
    """The pace of the agent's passes, and what it refuses to do by itself."""

    debounce: Annotated[
        Duration,
        Meta(extra={"min": "1ms", "max": "1m"},
             description="A pass begins when no change came for this long, so that keys written "
             "together are applied together. 50ms: longer than the gaps within one deployment "
             "script, too short to notice."),
    ] = Duration(50)  # fmt: skip
    debounce_max: Annotated[
        Duration,
        Meta(extra={"min": "1ms", "max": "10m"},
             description="A pass begins at the latest this long after the first change, even when "
             "changes never pause."),
    ] = Duration(500)  # fmt: skip
    retry_min: Annotated[
        Duration,
        Meta(extra={"min": "10ms", "max": "10m"},
             description="Pause after a first failed pass; doubles with each further failure."),
    ] = Duration(1_000)  # fmt: skip
    retry_max: Annotated[
        Duration,
        Meta(extra={"min": "10ms", "max": "1h"},
             description="Longest pause between two tries. 30s: a cured fault is picked up before "
             "anybody asks."),
    ] = Duration(30_000)  # fmt: skip
    resync: Annotated[
        Duration,
        Meta(extra={"min": "1s", "max": "1d"},
             description="A pass runs at least this often, without any change; it finds what "
             "somebody changed behind the agent's back."),
    ] = Duration(300_000)  # fmt: skip
    verify: Annotated[
        Duration,
        Meta(extra={"min": "1s", "max": "1d"},
             description="How often everything that HAProxy runs is read back and compared; what "
             "differs is healed, what a person set by hand is kept and shown. 30s: 3,000 servers "
             "cost some hundredths of a second, 30,000 half a second."),
    ] = Duration(30_000)  # fmt: skip
    leave_within: Annotated[
        Duration,
        Meta(extra={"min": "1s", "max": "1d"},
             description="How long a server that was taken out may finish the sessions it has; it "
             "gets no new ones from the first moment. 10m: as long as a replaced worker "
             "(`haproxy.hard_stop_after`)."),
    ] = Duration(600_000)  # fmt: skip
    keep_generations: Annotated[
        int,
        Meta(ge=2, le=1000,
             description="How many generations stay on disk for `lbsync rollback`, the live one "
             "included."),
    ] = 5  # fmt: skip
    guard_percent: Annotated[
        int,
        Meta(ge=0, le=100,
             description="What takes requests away from more than this share (percent) of all "
             "servers, or of those that one publisher wrote, is held, however many changes it is made "
             "of within `guard_window`. 50: no deployment does that at once, an emptied store does. 100 "
             "switches the guard off."),
    ] = 50  # fmt: skip
    guard_window: Annotated[
        Duration,
        Meta(extra={"min": "1s", "max": "30m"},
             description="Over this time removals add up: what counts is the most servers there were "
             "within it. 10m: a script that removes one service after the other is noticed, a fleet that "
             "shrinks over hours is not."),
    ] = Duration(600_000)  # fmt: skip
    guard_release: Annotated[
        Duration | None,
        Meta(extra={"min": "1s", "max": "24d"},
             description="A held removal goes through by itself after this long. Empty: only after "
             "`lbsync confirm`, because a machine cannot know whether it was meant."),
    ] = None  # fmt: skip
    reload_interval: Annotated[
        Pause,
        Meta(extra={"max": "1h"},
             description="At least this long between two reloads; what comes meanwhile is applied "
             "together by the next one. 0: a change is live as soon as it can be, and `max_old_workers` "
             "bounds what many reloads cost. At most 1h. Never waited for: a first start, healing, a rollback, "
             "and what takes access away."),
    ] = Pause(0)  # fmt: skip
    max_old_workers: Annotated[
        int,
        Meta(ge=1, le=1000,
             description="While this many replaced workers still finish their connections, a reload "
             "waits until one of them ends (`hard_stop_after` sees to that); each holds the memory of "
             "a whole HAProxy. 8: more than a busy day brings, less than a machine can bear. Not "
             "waited for: a first start, healing, a rollback, and what takes access away."),
    ] = 8  # fmt: skip
    splay: Annotated[
        Pause,
        Meta(extra={"max": "1h"},
             description="A reload for a change waits a random time of up to this, drawn on each host "
             "anew, so that a fleet does not reload at the same moment. 0: a reload loses no "
             "request, so there is no harm in that; where connections of clients are long, spread "
             "their reconnecting. At most 1h. Server changes by the runtime API never wait."),
    ] = Pause(0)  # fmt: skip
    report: Annotated[
        bool,
        Meta(description="Write what this host serves, verified, to `agents/<host>` in etcd, and why "
             "a service is quarantined to `quarantine/<ns>/<name>`; `lbsync wait` and `lbsync status "
             "--fleet` live on that. false: write nothing, for an etcd user that may only read."),
    ] = True  # fmt: skip
    report_ttl: Annotated[
        Duration,
        Meta(extra={"min": "2s", "max": "10m"},
             description="The fleet takes this host for gone when it was not heard of for this long. "
             "15s: longer than an election of etcd's, short enough that `lbsync wait` does not wait "
             "for the dead. Renewed three times within it."),
    ] = Duration(15_000)  # fmt: skip
    http_bind: Annotated[
        HttpBind | None,
        Meta(description="Where `/metrics`, `/healthz`, `/readyz` and `/status` are answered: an "
             "address and port, or the path of a socket, which the agent's group may use. Whoever "
             "reaches it reads names, addresses and errors, and can change nothing. Empty: nowhere."),
    ] = None  # fmt: skip
    report_interval: Annotated[
        Duration,
        Meta(extra={"min": "100ms", "max": "10m"},
             description="At least this long between two reports of this host to etcd, while nobody waits "
             "for them. What somebody has to act on (a removal that is held, passes that fail, a service that is "
             "quarantined, a drain) is told within a second, and `lbsync wait`, `--wait` and deployers are "
             "answered at once. 100ms: the page and `lbsync status --fleet` are never behind, at the price of a "
             "write of every host for each change."),
    ] = Duration(10_000)  # fmt: skip
    metrics_file: Annotated[
        FilePath | None,
        Meta(description="File in which the agent leaves its metrics for Prometheus after each pass, "
             "for node-exporter's textfile collector, which reads `*.prom`. The agent's user must "
             "have the right to write in its directory, and the unit `ReadWritePaths=` for it. "
             "Empty: none; see also `http_bind`. HAProxy's own metrics are another matter: `proxy.stats_bind`."),
    ] = None  # fmt: skip


class Log(msgspec.Struct, frozen=True):
    """The agent's own log, on standard error. HAProxy's access log is `[haproxy] log_target`."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="The least grave level that is written. `info`: one sentence per pass."),
    ] = "info"
    format: Annotated[
        Literal["auto", "console", "json", "gelf"],
        Meta(description="`console` is for people, `json` one object per line; `auto` is `console` "
             "on a terminal, and `json` otherwise, but in systemd's journal, which gets each event as an "
             "entry with priority and fields (`journalctl -p warning`, `-o verbose`). `gelf` goes to "
             "`gelf_target`, and what is a warning or worse to standard error as well."),
    ] = "auto"  # fmt: skip
    gelf_target: Annotated[
        GelfTarget | None,
        Meta(description="With `format = \"gelf\"`: Graylog's input, as `udp://HOST:12201`, `tcp://…` or "
             "`tls://…`. Nobody waits for it: of what it does not take, 10,000 lines are kept, and what is "
             "lost beyond that is counted."),
    ] = None  # fmt: skip
    gelf_ca: Annotated[
        FilePath | None,
        Meta(description="PEM file with the authorities for `tls://`. Empty: the system's."),
    ] = None
