"""The sections for HAProxy: [haproxy], the process, and [proxy], what it does with traffic."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from lbsync.values.addresses import Bind, IpAddress, LogTarget, NameServer, Network
from lbsync.values.basic import Command, Duration, FilePath, MediaType, Program

LogField = Literal["balancer", "query", "request_id", "tls", "user_agent"]
Account = Annotated[str, Meta(pattern=r"^([A-Za-z_][A-Za-z0-9_.-]{0,31})?$")]


class Haproxy(msgspec.Struct, frozen=True):
    """The HAProxy process on this host: its paths, how it is reloaded, and its limits."""

    binary: Annotated[
        Program,
        Meta(description="The program used for validation. It must be the same version as the running HAProxy, "
             "because each version accepts a different configuration language."),
    ] = Program("/usr/sbin/haproxy")  # fmt: skip
    master_socket: Annotated[
        FilePath | None,
        Meta(description="Socket of the master process (`haproxy -S`); the default is that of Debian's unit. "
             "Empty: there is none; then `reload` must be `signal` or `command`, and replaced workers "
             "are not counted, so `max_old_workers` delays nothing."),
    ] = FilePath("/run/haproxy-master.sock")  # fmt: skip
    stats_socket: Annotated[
        FilePath | None,
        Meta(description="Socket of the worker. It is rendered into the configuration, and the agent uses it to "
             "read back what runs. Empty: there is none; the agent reaches the worker through "
             "`master_socket`."),
    ] = FilePath("/run/haproxy/admin.sock")  # fmt: skip
    reload: Annotated[
        Literal["master", "signal", "command"],
        Meta(description="How a reload is requested: the command `reload` on the master socket, SIGUSR2 to the "
             "process in `pid_file`, or `reload_command`. `master` needs no privilege except the "
             "socket's group, works across containers, and HAProxy 2.8 or newer returns the reason for "
             "a failure. Every reload is verified by reading back."),
    ] = "master"  # fmt: skip
    reload_command: Annotated[
        Command,
        Meta(description="Command that is run if `reload` is `command`, such as `systemctl reload haproxy`, as a "
             "list of words or as one string. No shell is involved."),
    ] = Command()  # fmt: skip
    pid_file: Annotated[
        FilePath,
        Meta(description="File in which the master process stores its process ID (`haproxy -p`)."),
    ] = FilePath("/run/haproxy.pid")
    check_timeout: Annotated[
        Duration,
        Meta(extra={"min": "1s", "max": "10m"},
             description="Time limit for `haproxy -c`. 30s: ten thousand services take 0.3 s; only names that do "
             "not resolve take longer."),
    ] = Duration(30_000)  # fmt: skip
    reload_timeout: Annotated[
        Duration,
        Meta(extra={"min": "1s", "max": "10m"},
             description="Time limit for a reload, until the new worker reports the new digest; after that, the "
             "last good generation is restored."),
    ] = Duration(30_000)  # fmt: skip
    user: Annotated[
        Account,
        Meta(description="The account under which the worker runs. Empty: that of the master process, for a "
             "HAProxy that is not started as root and therefore cannot change it."),
    ] = "haproxy"  # fmt: skip
    group: Annotated[
        Account, Meta(description="The worker's group. Empty: that of the master process.")
    ] = "haproxy"
    socket_group: Annotated[
        Account,
        Meta(
            description="Group that may use `stats_socket`, that is, the agent's. Empty: the worker's group."
        ),
    ] = ""
    chroot: Annotated[
        FilePath | None,
        Meta(description="Directory for the worker's chroot. Empty: none before HAProxy 3.4; from 3.4 on, HAProxy "
             "uses an empty directory of its own if it starts as root (`user` is set) and does not log "
             "to a path. A path such as /dev/log cannot be reached from inside a chroot; if you set a "
             "directory, provide a log socket in it."),
    ] = None  # fmt: skip
    maxconn: Annotated[
        int,
        Meta(ge=0, le=10_000_000,
             description="Maximum number of concurrent connections of the process. 0: HAProxy derives it from its "
             "file descriptor limit."),
    ] = 0  # fmt: skip
    buffer_size: Annotated[
        int,
        Meta(ge=16_384, le=1_048_576,
             description="Size of a buffer in bytes (`tune.bufsize`). The header of a request or response, plus 1 "
             "kB for added headers, must fit into one buffer; otherwise the client gets 400 or 502. "
             "Increase it for very large cookies or tokens; each active connection uses two buffers."),
    ] = 16_384  # fmt: skip
    threads: Annotated[
        int,
        Meta(
            ge=0,
            le=4096,
            description="Number of worker threads. 0: one for each core that HAProxy may use.",
        ),
    ] = 0
    hard_stop_after: Annotated[
        Duration,
        Meta(extra={"min": "1s", "max": "24d"},
             description="How long a replaced worker may finish its connections. 10m: long downloads can complete; "
             "without a limit, WebSockets keep whole workers in memory for days."),
    ] = Duration(600_000)  # fmt: skip
    max_reloads: Annotated[
        int,
        Meta(ge=1, le=1000,
             description="Number of reloads that a worker may survive before it is stopped "
             "(`mworker-max-reloads`). It limits memory use when reloads come faster than connections "
             "end."),
    ] = 20  # fmt: skip
    keep_counters: Annotated[
        bool,
        Meta(description="Counters of frontends, services and servers continue across reloads, with HAProxy 3.0 or "
             "newer; older releases start from 0 after each reload. Before downgrading to a release "
             "older than 3.0, set this to false and wait for the reload, because older releases refuse "
             "the keywords."),
    ] = True  # fmt: skip
    log_target: Annotated[
        LogTarget | None,
        Meta(description="Where HAProxy logs to: a socket, `IP:PORT` (UDP), `stdout` (for containers) or `stderr`. "
             "Empty: no log. /dev/log is a syslog daemon or, where there is none, the journal, which "
             "is too slow for many requests; see operations.md."),
    ] = LogTarget("/dev/log")  # fmt: skip


class Proxy(msgspec.Struct, frozen=True):
    """Settings of the packaged templates for all services: addresses, trusted networks, timeouts.

    A service's own timeout takes precedence for that service.
    """

    http_bind: Annotated[
        tuple[Bind, ...],
        Meta(description="Addresses and ports for plain HTTP. IPv6 is not part of the default, because HAProxy "
             'could not start on a host without it: `["0.0.0.0:80", "[::]:80"]` accepts both.'),
    ] = (Bind("0.0.0.0:80"),)  # fmt: skip
    https_bind: Annotated[
        tuple[Bind, ...],
        Meta(description="Addresses and ports for TLS; no effect while `certificates` is empty."),
    ] = (Bind("0.0.0.0:443"),)
    http3: Annotated[
        bool,
        Meta(description="Also accept HTTP/3 (QUIC), over UDP on the addresses of `https_bind`. Responses announce "
             "it to browsers (`alt-svc`) with `public_https_port`, which must reach this host over "
             "UDP, too. Needs a HAProxy with QUIC, such as Debian's 3.2; other builds are refused."),
    ] = False  # fmt: skip
    certificates: Annotated[
        FilePath | None,
        Meta(description="Directory of PEM files, each with private key, certificate and chain. Empty: no TLS on "
             "this host, as behind a load balancer that terminates it."),
    ] = None  # fmt: skip
    accept_proxy: Annotated[
        tuple[Network, ...],
        Meta(extra={"cure": 'name the networks that send the PROXY protocol, like ["10.0.0.0/16"]'},
             description="Networks of load balancers that start each connection with a PROXY protocol header, as "
             "an AWS NLB or classic ELB can. Applies to the two binds above and to the ports of tcp "
             "services. The header is required from these networks; all other clients connect "
             "directly, and are refused if they send the header. Empty: nobody sends it."),
    ] = ()  # fmt: skip
    trusted_proxies: Annotated[
        tuple[Network, ...],
        Meta(description="Networks whose X-Forwarded-* headers are trusted, that is, those of the load balancer in "
             "front. Empty: none, because any client can send these headers."),
    ] = ()  # fmt: skip
    public_https_port: Annotated[
        int,
        Meta(ge=1, le=65535,
             description="The https port that clients see, used in redirects."),
    ] = 443  # fmt: skip
    request_id: Annotated[
        bool,
        Meta(description="Add an `X-Request-ID` header, a random UUID, to each request for servers and the log. An "
             "ID from a load balancer in `trusted_proxies` is kept."),
    ] = True  # fmt: skip
    log_fields: Annotated[
        tuple[LogField, ...],
        Meta(description="Additional fields in the log line of a request: `balancer` (`host` above), `query` "
             "(which may contain secrets), `request_id`, `tls` (version and cipher), `user_agent`. "
             "With the query or the user agent, the path is truncated to 400 bytes instead of 900."),
    ] = ("request_id", "tls")  # fmt: skip
    health_path: Annotated[
        str,
        Meta(pattern=r"^/[A-Za-z0-9._~/-]*$",
             description="Path on every host that answers 200, or 503 after `lbsync drain`, for the health check "
             "of the load balancer in front."),
    ] = "/lbsync-health"  # fmt: skip
    stats_bind: Annotated[
        Bind | None,
        Meta(description="Address and port of the statistics page and of /metrics for Prometheus. On loopback, "
             "because it shows all addresses. Empty: off."),
    ] = Bind("127.0.0.1:8404")  # fmt: skip
    stats_allow: Annotated[
        tuple[Network, ...],
        Meta(description="Networks that have access there; others get 403. Empty: every client that reaches "
             "`stats_bind`."),
    ] = ()  # fmt: skip
    stats_users_file: Annotated[
        FilePath | None,
        Meta(description="File with the users who have access there, including /metrics: a line `NAME:HASH` for "
             "each, with a hash made by `openssl passwd -6`. It is read by the agent's user, and again when it "
             "changes; while it is invalid, the last users stay in force, and nobody has access if there were none. "
             "Passwords are sent in plain text. Empty: no password is required."),
    ] = None  # fmt: skip
    tcp_bind_address: Annotated[
        IpAddress, Meta(description="The address on which tcp services listen.")
    ] = IpAddress("0.0.0.0")
    name_servers: Annotated[
        tuple[NameServer, ...],
        Meta(max_length=8,
             description='Name servers that resolve the names of servers: `["10.0.0.2", "10.0.0.3:53"]`. Empty: '
             "those in /etc/resolv.conf at the time of rendering. They are written into the "
             "configuration, so that HAProxy can start without that file."),
    ] = ()  # fmt: skip
    timeout_connect: Annotated[
        Duration,
        Meta(extra={"min": "10ms", "max": "1m"},
             description="Time to connect to a server. 1s: servers are close; each attempt on a dead one costs "
             "this long before the next server is tried."),
    ] = Duration(1_000)  # fmt: skip
    timeout_client: Annotated[
        Duration,
        Meta(extra={"min": "1s", "max": "24d"},
             description="Inactivity of a client during a request or response."),
    ] = Duration(30_000)  # fmt: skip
    timeout_server: Annotated[
        Duration,
        Meta(extra={"min": "1s", "max": "24d"},
             description="Inactivity of a server, and therefore also the time until a response begins. 30s: half "
             "of the 60 s after which an AWS load balancer gives up, so that HAProxy's own response "
             "tells the client which side was slow."),
    ] = Duration(30_000)  # fmt: skip
    timeout_http_request: Annotated[
        Duration,
        Meta(extra={"min": "1s", "max": "10m"},
             description="Time for the complete header of a request to arrive. 10s: long enough for slow phones, "
             "and connections that send only a few bytes at a time are closed."),
    ] = Duration(10_000)  # fmt: skip
    timeout_http_keep_alive: Annotated[
        Duration,
        Meta(extra={"min": "100ms", "max": "1h"},
             description="How long an idle connection waits for its next request, and therefore also how long a "
             "replaced worker stays for idle connections. Behind an AWS ALB, set it above the ALB's "
             "idle timeout (65s), so that the ALB closes the connection first."),
    ] = Duration(5_000)  # fmt: skip
    timeout_queue: Annotated[
        Duration,
        Meta(extra={"min": "100ms", "max": "1h"},
             description="How long a request waits for a server that has reached its `maxconn`; after that, it "
             "gets 503."),
    ] = Duration(10_000)  # fmt: skip
    timeout_tunnel: Annotated[
        Duration,
        Meta(extra={"min": "1s", "max": "24d"},
             description="Inactivity of a WebSocket or tcp connection. 1h: longer than the ping interval of common "
             "libraries."),
    ] = Duration(3_600_000)  # fmt: skip
    timeout_half_closed: Annotated[
        Duration,
        Meta(extra={"min": "1s", "max": "24d"},
             description="Inactivity of a connection that one side has closed; such a connection would keep a "
             "replaced worker alive. Increase it if clients of a tcp service close their side and then "
             "wait for a slow response."),
    ] = Duration(30_000)  # fmt: skip
    compression_types: Annotated[
        tuple[MediaType, ...],
        Meta(min_length=1, max_length=30,
             description="Media types that a service with `compression: true` compresses: text, and nothing that "
             "is already compressed."),
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
