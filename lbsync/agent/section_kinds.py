"""The keywords that begin a section of haproxy.cfg (configuration manual, section 2)."""

KINDS = frozenset(
    (
        *("global", "defaults", "frontend", "backend", "listen", "userlist", "peers", "resolvers"),
        *("mailers", "cache", "program", "ring", "log-forward", "log-profile", "fcgi-app"),
        *("http-errors", "crt-store", "traces", "acme"),
    )
)
