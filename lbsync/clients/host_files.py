"""What the host itself says: its name servers, the authorities that it trusts, and who may see statistics."""

import ipaddress
import ssl
from collections.abc import Iterator
from pathlib import Path

from lbsync.atomic import FileMark, mark
from lbsync.errors import Rejected
from lbsync.values.policies import PasswordHash, UserName, users_of

_RESOLV_CONF = Path("/etc/resolv.conf")
_MOST_BYTES = 16 << 20
_MOST_USERS_BYTES = 1 << 20
#: Where distributions keep the bundle, beside the place that OpenSSL was built with.
_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
_BEGIN = b"-----BEGIN CERTIFICATE-----"


def name_servers(path: Path = _RESOLV_CONF) -> tuple[str, ...]:
    """Return the addresses in resolv.conf(5), sorted; nothing where it cannot be read, or names none.

    One with a zone (`fe80::1%eth0`) is left out: HAProxy does not start with it (measured).
    """
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return ()
    return tuple(sorted(set(_addresses(text))))


def _addresses(text: str) -> Iterator[str]:
    for line in text.splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == "nameserver":
            try:
                address = ipaddress.ip_address(words[1])
            except ValueError:
                continue
            if not getattr(address, "scope_id", None):
                yield str(address)


def users(path: Path) -> dict[UserName, PasswordHash]:
    """Return the users in a file; see `users_of`.

    Raises `Rejected` with the path, and with nothing that stands in the file, where it cannot be used.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_USERS_BYTES + 1)
        if len(data) > _MOST_USERS_BYTES:
            raise Rejected(f"{path}: it is larger than 1 MiB; is it the file of users?")
        return users_of(data.decode())
    except OSError as error:
        raise Rejected(f"{path} cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise Rejected(f"{path}: it is no UTF-8 text") from error
    except ValueError as error:
        raise Rejected(f"{path}: {error}") from error


class SystemAuthorities:
    """Reads the bundle of the system; again only when its mark changed."""

    def __init__(self) -> None:
        self._mark: tuple[str, FileMark] | None = None
        self._text = b""

    def read(self) -> bytes:
        """Return PEM text; empty if there is no bundle, or it holds no certificate."""
        found = ssl.get_default_verify_paths().cafile
        for place in (*((found,) if found else ()), *_BUNDLES):
            path = Path(place)
            try:
                stat = path.stat()
                seen = place, mark(stat)
                if seen == self._mark:
                    return self._text
                text = path.read_bytes() if stat.st_size < _MOST_BYTES else b""
            except OSError:
                continue
            if _BEGIN in text:
                self._mark, self._text = seen, text
                return text
        return b""
