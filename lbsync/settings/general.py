"""The sections for the agent itself: the top level, [etcd], [agent] and [log]."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from lbsync.values.addresses import Endpoint, GelfTarget, HttpBind
from lbsync.values.basic import Duration, FilePath, Pause


class Etcd(msgspec.Struct, frozen=True):
    """How to reach etcd. Used if `source` is `etcd`."""

    endpoints: Annotated[
        tuple[Endpoint, ...],
        Meta(
            min_length=1,
            description="Client URLs of the members. One is used; if it does not answer, the agent fails over to "
            "the others, so list all members. `https` enables TLS.",
        ),
    ] = (Endpoint("http://127.0.0.1:2379"),)
    ca: Annotated[
        FilePath | None,
        Meta(description="PEM file with the CA certificates that sign the members' certificates. Empty: the "
             "system's."),
    ] = None  # fmt: skip
    cert: Annotated[
        FilePath | None,
        Meta(description="PEM file with the client certificate, for clusters that require one."),
    ] = None
    key: Annotated[
        FilePath | None, Meta(description="PEM file with the private key of `cert`.")
    ] = None
    user: Annotated[
        str, Meta(description="User name, if etcd's authentication is enabled. Empty: none.")
    ] = ""
    password_file: Annotated[
        FilePath | None,
        Meta(description="File whose first line is the password of `user`. A file is used so that the password "
             "appears neither in process lists nor in this file."),
    ] = None  # fmt: skip
    timeout: Annotated[
        Duration,
        Meta(extra={"min": "100ms", "max": "5m"},
             description="Time limit for one call before the next endpoint is tried. 5s: an election takes 1 to 2 "
             "s, and a normal call takes milliseconds."),
    ] = Duration(5_000)  # fmt: skip
    resync: Annotated[
        Duration,
        Meta(extra={"min": "1s", "max": "1d"},
             description="How often all keys are read again and compared with the state from the watch, in case an "
             "event was lost."),
    ] = Duration(300_000)  # fmt: skip


class Agent(msgspec.Struct, frozen=True):
    """Timing of the agent's passes, its guard, reloads and reports."""

    debounce: Annotated[
        Duration,
        Meta(extra={"min": "1ms", "max": "1m"},
             description="A pass starts when no change has arrived for this long, so that keys written together "
             "are applied together. 50ms: longer than the gaps within one deployment script, and too "
             "short to notice."),
    ] = Duration(50)  # fmt: skip
    debounce_max: Annotated[
        Duration,
        Meta(extra={"min": "1ms", "max": "10m"},
             description="A pass starts no later than this after the first change, even if changes keep arriving."),
    ] = Duration(500)  # fmt: skip
    retry_min: Annotated[
        Duration,
        Meta(extra={"min": "10ms", "max": "10m"},
             description="Pause after the first failed pass; doubles with each further failure."),
    ] = Duration(1_000)  # fmt: skip
    retry_max: Annotated[
        Duration,
        Meta(extra={"min": "10ms", "max": "1h"},
             description="Longest pause between two attempts. 30s: once a fault is fixed, the agent recovers "
             "before anybody asks."),
    ] = Duration(30_000)  # fmt: skip
    resync: Annotated[
        Duration,
        Meta(extra={"min": "1s", "max": "1d"},
             description="A pass runs at least this often, even without changes. It detects changes made on the "
             "host without the agent."),
    ] = Duration(300_000)  # fmt: skip
    verify: Annotated[
        Duration,
        Meta(extra={"min": "1s", "max": "1d"},
             description="How often the complete state of HAProxy is read back and compared. Differences are "
             "healed; what a person set by hand is kept and shown. 30s: reading back 3,000 servers "
             "takes a few hundredths of a second, 30,000 take half a second."),
    ] = Duration(30_000)  # fmt: skip
    leave_within: Annotated[
        Duration,
        Meta(extra={"min": "1s", "max": "1d"},
             description="How long a removed server may finish its existing sessions; it gets no new ones from the "
             "first moment. 10m: as long as a replaced worker (`haproxy.hard_stop_after`)."),
    ] = Duration(600_000)  # fmt: skip
    keep_generations: Annotated[
        int,
        Meta(ge=2, le=1000,
             description="Number of generations kept on disk for `lbsync rollback`, including the live one."),
    ] = 5  # fmt: skip
    guard_percent: Annotated[
        int,
        Meta(ge=0, le=100,
             description="A change that takes requests away from more than this share (percent) of all servers, or "
             "of the servers that one publisher wrote, is held. All changes within `guard_window` "
             "count together. 50: no deployment removes that many at once, but an emptied store does. "
             "100 disables the guard."),
    ] = 50  # fmt: skip
    guard_window: Annotated[
        Duration,
        Meta(extra={"min": "1s", "max": "30m"},
             description="Removals within this time are added up and compared with the highest number of servers "
             "within it. 10m: a script that removes one service after another is detected; a fleet "
             "that shrinks over hours is not."),
    ] = Duration(600_000)  # fmt: skip
    guard_release: Annotated[
        Duration | None,
        Meta(extra={"min": "1s", "max": "24d"},
             description="A held removal is applied automatically after this long. Empty: only after `lbsync "
             "confirm`, because the agent cannot know whether the removal was intended."),
    ] = None  # fmt: skip
    reload_interval: Annotated[
        Pause,
        Meta(extra={"max": "1h"},
             description="Minimum time between two reloads; changes that arrive in between are applied together by "
             "the next one. 0: each change becomes live as soon as possible, and `max_old_workers` "
             "limits the cost of many reloads. At most 1h. A first start, healing, a rollback, and a "
             "change that takes access away never wait."),
    ] = Pause(0)  # fmt: skip
    max_old_workers: Annotated[
        int,
        Meta(ge=1, le=1000,
             description="While this many replaced workers are still finishing their connections, a reload waits "
             "until one of them ends (`hard_stop_after` limits how long that takes). Each old worker "
             "holds the memory of a whole HAProxy. 8: more than a busy day needs, and less than would "
             "exhaust a host. A first start, healing, a rollback, and a change that takes access away "
             "never wait."),
    ] = 8  # fmt: skip
    splay: Annotated[
        Pause,
        Meta(extra={"max": "1h"},
             description="A reload for a change is delayed by a random time up to this value, drawn anew on each "
             "host, so that a fleet does not reload at the same moment. 0: a reload drops no request, "
             "so simultaneous reloads do no harm; set it to spread reconnections if clients hold long "
             "connections. At most 1h. Server changes through the runtime API never wait."),
    ] = Pause(0)  # fmt: skip
    report: Annotated[
        bool,
        Meta(description="Write what this host serves, as verified, to `agents/<host>` in etcd, and the reason for "
             "a quarantined service to `quarantine/<ns>/<name>`. `lbsync wait` and `lbsync status "
             "--fleet` depend on it. false: write nothing, for an etcd user with read-only access."),
    ] = True  # fmt: skip
    report_ttl: Annotated[
        Duration,
        Meta(extra={"min": "2s", "max": "10m"},
             description="The fleet considers this host gone if it has not reported for this long. 15s: longer "
             "than an etcd election, and short enough that `lbsync wait` does not wait for dead hosts. "
             "The lease is renewed three times within this period."),
    ] = Duration(15_000)  # fmt: skip
    http_bind: Annotated[
        HttpBind | None,
        Meta(description="Address and port, or path of a socket (accessible to the agent's group), that serves "
             "`/metrics`, `/healthz`, `/readyz` and `/status`. Clients can read names, addresses and "
             "errors, and cannot change anything. Empty: disabled."),
    ] = None  # fmt: skip
    report_interval: Annotated[
        Duration,
        Meta(extra={"min": "100ms", "max": "10m"},
             description="Minimum time between two reports of this host to etcd while no command waits for them. "
             "Conditions that need action (a held removal, failing passes, a quarantined service, a "
             "drain) are reported within a second, and `lbsync wait`, `--wait` and deployers are "
             "answered at once. 100ms: the console and `lbsync status --fleet` are always current, at "
             "the cost of one write per host for each change."),
    ] = Duration(10_000)  # fmt: skip
    metrics_file: Annotated[
        FilePath | None,
        Meta(description="File to which the agent writes its metrics after each pass, for the textfile collector "
             "of Prometheus' node-exporter, which reads `*.prom`. The agent's user needs write "
             "permission for the directory, and the unit needs `ReadWritePaths=` for it. Empty: none; "
             "see also `http_bind`. HAProxy's own metrics are separate: `proxy.stats_bind`."),
    ] = None  # fmt: skip


class Log(msgspec.Struct, frozen=True):
    """The agent's own log, on standard error. HAProxy's access log is `[haproxy] log_target`."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="The lowest severity that is logged. `info`: one sentence per pass."),
    ] = "info"
    format: Annotated[
        Literal["auto", "console", "json", "gelf"],
        Meta(description="`console` is for people; `json` writes one object per line. `auto` means `console` on a "
             "terminal and `json` otherwise, except under systemd, where each event becomes a journal "
             "entry with priority and fields (`journalctl -p warning`, `-o verbose`). `gelf` sends to "
             "`gelf_target`, and writes warnings and errors to standard error as well."),
    ] = "auto"  # fmt: skip
    gelf_target: Annotated[
        GelfTarget | None,
        Meta(description='With `format = "gelf"`: the Graylog input, such as `udp://HOST:12201`, `tcp://…` or '
             "`tls://…`. Sending never blocks the agent: up to 10,000 undelivered lines are kept, and "
             "lines lost beyond that are counted."),
    ] = None  # fmt: skip
    gelf_ca: Annotated[
        FilePath | None,
        Meta(description="PEM file with the CA certificates for `tls://`. Empty: the system's."),
    ] = None
