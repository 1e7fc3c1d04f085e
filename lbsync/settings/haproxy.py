"""The sections for HAProxy: [haproxy], the process, and [proxy], what it does with traffic."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from lbsync.values.addresses import Bind, IpAddress, LogTarget, NameServer, Network
from lbsync.values.basic import Command, Duration, FilePath, MediaType, Program

LogField = Literal["balancer", "query", "request_id", "tls", "user_agent"]
Account = Annotated[str, Meta(pattern=r"^([A-Za-z_][A-Za-z0-9_.-]{0,31})?$")]


class Haproxy(msgspec.Struct, frozen=True):
    """The HAProxy process on this host: where it is, how it is reloaded, what it may use."""

    binary: Annotated[
        Program,
        Meta(description="The program that validates; must be the version that serves, because "
             "each version accepts a different language."),
    ] = Program("/usr/sbin/haproxy")  # fmt: skip
    master_socket: Annotated[
        FilePath | None,
        Meta(description="Socket of the master process (`haproxy -S`); Debian's unit puts it here. "
             "Empty: there is none, which takes `reload` by `signal` or `command`; replaced workers "
             "are then not counted, so `max_old_workers` holds nothing up."),
    ] = FilePath("/run/haproxy-master.sock")  # fmt: skip
    stats_socket: Annotated[
        FilePath | None,
        Meta(description="Socket of the worker; rendered into the configuration, and where the "
             "agent reads back what runs. Empty: there is none; the worker is asked through "
             "`master_socket`."),
    ] = FilePath("/run/haproxy/admin.sock")  # fmt: skip
    reload: Annotated[
        Literal["master", "signal", "command"],
        Meta(description="How a reload is asked for: `reload` on the master socket, SIGUSR2 to the "
             "process in `pid_file`, or `reload_command`. `master`: needs no privilege but the "
             "socket's group, works across containers, and HAProxy 2.8 answers with the reason of "
             "a failure. Each way is proved by reading back."),
    ] = "master"  # fmt: skip
    reload_command: Annotated[
        Command,
        Meta(description="Run when `reload` is `command`: `systemctl reload haproxy`, as a list of "
             "words or as one string; no shell is involved."),
    ] = Command()  # fmt: skip
    pid_file: Annotated[
        FilePath, Meta(description="Where the master process keeps its process id (`haproxy -p`).")
    ] = FilePath("/run/haproxy.pid")
    check_timeout: Annotated[
        Duration,
        Meta(extra={"min": "1s", "max": "10m"},
             description="How long `haproxy -c` may take. 30s: ten thousand services take 0.3 s; "
             "only names that do not resolve take longer."),
    ] = Duration(30_000)  # fmt: skip
    reload_timeout: Annotated[
        Duration,
        Meta(extra={"min": "1s", "max": "10m"},
             description="How long a reload may take until the new worker answers with the new "
             "digest; then the last good generation is put back."),
    ] = Duration(30_000)  # fmt: skip
    user: Annotated[
        Account,
        Meta(description="The account the worker runs as. Empty: that of the master process, for "
             "a HAProxy that is not started as root and so cannot change it."),
    ] = "haproxy"  # fmt: skip
    group: Annotated[
        Account, Meta(description="The worker's group. Empty: that of the master process.")
    ] = "haproxy"
    socket_group: Annotated[
        Account,
        Meta(
            description="Group that may use `stats_socket`: the agent's. Empty: the worker's group."
        ),
    ] = ""
    chroot: Annotated[
        FilePath | None,
        Meta(description="Directory the worker is locked in. Empty: none before HAProxy 3.4; from then on an "
             "empty one of its own where it starts as root (`user` is set) and logs to no path. A path like "
             "/dev/log cannot be reached from inside: with a directory, give the log a socket there."),
    ] = None  # fmt: skip
    maxconn: Annotated[
        int,
        Meta(ge=0, le=10_000_000,
             description="Concurrent connections of the process. 0: HAProxy works it out from the "
             "file descriptors it may open."),
    ] = 0  # fmt: skip
    buffer_size: Annotated[
        int,
        Meta(ge=16_384, le=1_048_576,
             description="Bytes of a buffer (`tune.bufsize`); the head of a request or an answer, with "
             "1 kB to spare for what is added, must fit into one: else 400, or 502. Larger where "
             "cookies or tokens are huge; each connection at work takes two."),
    ] = 16_384  # fmt: skip
    threads: Annotated[
        int, Meta(ge=0, le=4096, description="Worker threads. 0: one for each core it may use.")
    ] = 0
    hard_stop_after: Annotated[
        Duration,
        Meta(extra={"min": "1s", "max": "24d"},
             description="How long a worker that was replaced may finish its connections. 10m: long "
             "downloads end by themselves; without a limit, WebSockets keep whole workers in "
             "memory for days."),
    ] = Duration(600_000)  # fmt: skip
    max_reloads: Annotated[
        int,
        Meta(ge=1, le=1000,
             description="How many reloads a worker may outlive before it is stopped "
             "(`mworker-max-reloads`); bounds memory when reloads come faster than connections end."),
    ] = 20  # fmt: skip
    keep_counters: Annotated[
        bool,
        Meta(description="Counters of frontends, services and servers go on over reloads, with HAProxy 3.0 "
             "or newer; older releases count from 0 after each. Set it to false, and wait for the reload, "
             "before you go back to a release older than 3.0: it does not start with the words for it."),
    ] = True  # fmt: skip
    log_target: Annotated[
        LogTarget | None,
        Meta(description="Where HAProxy logs: a socket, `IP:PORT` (UDP), `stdout` (for containers) "
             "or `stderr`. Empty: nowhere. /dev/log is a syslog daemon, or where there is none "
             "the journal, which is too slow for many requests: see operations.md."),
    ] = LogTarget("/dev/log")  # fmt: skip


class Proxy(msgspec.Struct, frozen=True):
    """What the packaged templates make of all services: addresses, trust, time limits.

    Where a service names its own limit, that one holds for it.
    """

    http_bind: Annotated[
        tuple[Bind, ...],
        Meta(description="Where plain HTTP is taken. IPv6 is not in the default, because a host "
             "without it could not start: `[\"0.0.0.0:80\", \"[::]:80\"]` takes both."),
    ] = (Bind("0.0.0.0:80"),)  # fmt: skip
    https_bind: Annotated[
        tuple[Bind, ...],
        Meta(description="Where TLS is taken; without effect while `certificates` is empty."),
    ] = (Bind("0.0.0.0:443"),)
    http3: Annotated[
        bool,
        Meta(description="HTTP/3 (QUIC) besides, on the addresses of `https_bind` by UDP; pages tell browsers of "
             "it (`alt-svc`) at `public_https_port`, which has to reach this host by UDP, too. Takes a "
             "HAProxy with QUIC, like Debian's 3.2: another one is refused."),
    ] = False  # fmt: skip
    certificates: Annotated[
        FilePath | None,
        Meta(description="Directory of PEM files, each with key, certificate and chain. Empty: no "
             "TLS here, as behind a load balancer that ends it."),
    ] = None  # fmt: skip
    accept_proxy: Annotated[
        tuple[Network, ...],
        Meta(extra={"cure": 'name the networks that send the PROXY protocol, like ["10.0.0.0/16"]'},
             description="Networks of the load balancers that begin each connection to the two "
             "binds above, and to the ports of tcp services, with the PROXY protocol, as an AWS NLB "
             "or classic ELB can. From these it is required; others speak for themselves, and one "
             "that sends the header all the same is refused. Empty: nobody sends it."),
    ] = ()  # fmt: skip
    trusted_proxies: Annotated[
        tuple[Network, ...],
        Meta(description="Networks whose X-Forwarded-* headers are believed: those of the load "
             "balancer in front. Empty: nobody's, since anybody can write them."),
    ] = ()  # fmt: skip
    public_https_port: Annotated[
        int,
        Meta(ge=1, le=65535,
             description="The port of https:// as clients see it, for redirects."),
    ] = 443  # fmt: skip
    request_id: Annotated[
        bool,
        Meta(description="Give each request an `X-Request-ID`, a random UUID, which servers and the log get. "
             "One that a balancer of `trusted_proxies` has given is kept."),
    ] = True  # fmt: skip
    log_fields: Annotated[
        tuple[LogField, ...],
        Meta(description="What the line of a request has besides who, what, where and how long: `balancer` "
             "(`host` above), `query` (which may hold secrets), `request_id`, `tls` (version and cipher), "
             "`user_agent`. With the query or the user agent, the path is cut to 400 bytes, not 900."),
    ] = ("request_id", "tls")  # fmt: skip
    health_path: Annotated[
        str,
        Meta(pattern=r"^/[A-Za-z0-9._~/-]*$",
             description="Path on every host that answers 200, or 503 after `lbsync drain`: for the "
             "health check of the load balancer in front."),
    ] = "/lbsync-health"  # fmt: skip
    stats_bind: Annotated[
        Bind | None,
        Meta(description="Statistics page and /metrics for Prometheus. On loopback, because it "
             "shows every address. Empty: off."),
    ] = Bind("127.0.0.1:8404")  # fmt: skip
    stats_allow: Annotated[
        tuple[Network, ...],
        Meta(description="Networks that may ask there; others get 403. Empty: whoever reaches `stats_bind`."),
    ] = ()  # fmt: skip
    stats_users_file: Annotated[
        FilePath | None,
        Meta(description="File with the users who may ask there, also for /metrics: a line `NAME:HASH` for each, "
             "hashed by `openssl passwd -6`. It is read by the agent's user, and again when it changes; while it "
             "cannot be used, the last users count, and nobody where there are none. Passwords travel readable "
             "there. Empty: no password is asked for."),
    ] = None  # fmt: skip
    tcp_bind_address: Annotated[
        IpAddress, Meta(description="The address that tcp services listen on.")
    ] = IpAddress("0.0.0.0")
    name_servers: Annotated[
        tuple[NameServer, ...],
        Meta(max_length=8,
             description="Who resolves the names of servers: `[\"10.0.0.2\", \"10.0.0.3:53\"]`. "
             "Empty: those of /etc/resolv.conf, as it is now; written into the configuration, so "
             "that HAProxy starts without that file."),
    ] = ()  # fmt: skip
    timeout_connect: Annotated[
        Duration,
        Meta(extra={"min": "10ms", "max": "1m"},
             description="To connect to a server. 1s: servers are near; each try at a dead one "
             "costs this long before the next server is tried."),
    ] = Duration(1_000)  # fmt: skip
    timeout_client: Annotated[
        Duration,
        Meta(extra={"min": "1s", "max": "24d"},
             description="Silence of a client in the middle of a request or an answer."),
    ] = Duration(30_000)  # fmt: skip
    timeout_server: Annotated[
        Duration,
        Meta(extra={"min": "1s", "max": "24d"},
             description="Silence of a server, and so how long an answer may take to begin. 30s: "
             "half of the 60 s after which an AWS load balancer gives up, so that the client is "
             "told by us which side was slow."),
    ] = Duration(30_000)  # fmt: skip
    timeout_http_request: Annotated[
        Duration,
        Meta(extra={"min": "1s", "max": "10m"},
             description="For a whole request head to arrive. 10s: slow phones manage, connections "
             "that drip bytes do not stay."),
    ] = Duration(10_000)  # fmt: skip
    timeout_http_keep_alive: Annotated[
        Duration,
        Meta(extra={"min": "100ms", "max": "1h"},
             description="How long an idle connection waits for its next request; also how long a "
             "replaced worker stays for idle ones. Behind an AWS ALB set it above the ALB's idle "
             "timeout (65s), so that the ALB is the one that closes."),
    ] = Duration(5_000)  # fmt: skip
    timeout_queue: Annotated[
        Duration,
        Meta(extra={"min": "100ms", "max": "1h"},
             description="How long a request waits for a server that has reached its `maxconn`; "
             "then 503."),
    ] = Duration(10_000)  # fmt: skip
    timeout_tunnel: Annotated[
        Duration,
        Meta(extra={"min": "1s", "max": "24d"},
             description="Silence on a WebSocket or a tcp connection. 1h: longer than the pings of "
             "common libraries."),
    ] = Duration(3_600_000)  # fmt: skip
    timeout_half_closed: Annotated[
        Duration,
        Meta(extra={"min": "1s", "max": "24d"},
             description="Silence on a connection that one side has closed; it would keep a "
             "replaced worker. Longer where clients of a tcp service close theirs and then wait "
             "for a slow answer."),
    ] = Duration(30_000)  # fmt: skip
    compression_types: Annotated[
        tuple[MediaType, ...],
        Meta(min_length=1, max_length=30,
             description="What a service with `compression: true` compresses: text, but nothing "
             "that is compressed already."),
    ] = (
        MediaType("text/html"),
        MediaType("text/plain"),
        MediaType("text/css"),
        MediaType("text/javascript"),
        MediaType("application/javascript"),
        MediaType("application/json"),
        MediaType("application/xml"),
        MediaType("image/svg+xml"),
    )  # fmt: skip

    @property
    def reserved_ports(self) -> frozenset[int]:
        """Ports of HAProxy's own frontends, which no tcp service can have."""
        binds = self.http_bind + (self.https_bind if self.certificates else ())
        return frozenset(bind.port for bind in (*binds, self.stats_bind) if bind is not None)
