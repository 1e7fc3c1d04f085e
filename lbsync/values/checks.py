"""Checks of what is no service of HAProxy's, such as data stores. Valid by construction."""

from urllib.parse import urlsplit

from lbsync.values.basic import NAME, text_of

_PORTS = {"http": 80, "tcp": 0}


class StoreCheck(str):
    """What is checked, and how: `main=tcp://10.0.0.5:5432`, `search=http://10.0.0.9:9200/_cluster/health`."""

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "StoreCheck":
        """Return it as written. Raises ValueError with the cure."""
        text = text_of(raw, "check")
        name, _, url = text.partition("=")
        try:
            parts = urlsplit(url)
            port, host = parts.port, parts.hostname
        except ValueError:
            raise ValueError(_wrong(text)) from None
        if (
            not NAME.match(name)
            or parts.scheme not in _PORTS
            or not host
            or not (port or _PORTS[parts.scheme])
            or parts.username is not None
            or (parts.scheme == "tcp" and parts.path not in ("", "/"))
            or not all("!" <= letter <= "~" for letter in url)
        ):
            raise ValueError(_wrong(text))
        return cls(text)

    @property
    def name(self) -> str:
        """What it is called."""
        return self.partition("=")[0]

    @property
    def url(self) -> str:
        """Where it is asked."""
        return self.partition("=")[2]

    @property
    def is_http(self) -> bool:
        """Whether an answer is awaited, not a connection alone."""
        return self.url.startswith("http:")

    @property
    def host(self) -> str:
        """Name or address."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """The port, 1 to 65535."""
        parts = urlsplit(self.url)
        return parts.port or _PORTS[parts.scheme]

    @property
    def path(self) -> str:
        """Path and query that are asked for."""
        parts = urlsplit(self.url)
        return f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"


def _wrong(text: str) -> str:
    return (
        f"{text[:80]!r} is no check: write main=tcp://10.0.0.5:5432 or search=http://10.0.0.9:9200/_cluster/health, "
        "the name in lower case"
    )
