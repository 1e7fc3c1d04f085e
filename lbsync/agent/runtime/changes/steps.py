"""The steps of a plan: what is to change in a running HAProxy, without the words of its API.

Names, addresses and words are as the configuration holds them; nothing here is escaped.
"""

from typing import Literal

import msgspec

Proof = Literal["", "rise", "first"]
"""What brings a server up that no check has found good: nothing, as no check of its own will tell soon;
`rise` good checks; the first good one (`server_words.proof`)."""


class AddServer(msgspec.Struct, frozen=True):
    """A server that HAProxy does not have yet."""

    backend: str
    name: str
    address: str
    """IP address, IPv6 without brackets."""
    port: int
    options: tuple[str, ...]
    """All words after the address, defaults included: `add server` inherits nothing."""
    proved: Proof = ""

    def __str__(self) -> str:
        return f"add server {self.backend}/{self.name} at {self.address} port {self.port}"


class AddBackend(msgspec.Struct, frozen=True):
    """A backend that HAProxy does not have yet; no request finds it before `PublishBackend`."""

    backend: str
    defaults: str
    """Name of the `defaults` section it stands on."""
    mode: str = ""
    """Empty: the `defaults` say it."""
    guid: str = ""
    """Empty: it has none."""

    def __str__(self) -> str:
        return f"add backend {self.backend} from {self.defaults}"


class PublishBackend(msgspec.Struct, frozen=True):
    """Lets requests reach a backend."""

    backend: str

    def __str__(self) -> str:
        return f"publish backend {self.backend}"


class RetireBackend(msgspec.Struct, frozen=True):
    """Sends a backend no new requests; `retired` deletes it when the last one has ended."""

    backend: str

    def __str__(self) -> str:
        return f"retire backend {self.backend}"


class SetChecks(msgspec.Struct, frozen=True):
    """Turns the health checks of a server on or off; its health stays as it is."""

    backend: str
    name: str
    on: bool

    def __str__(self) -> str:
        return f"checks {'on' if self.on else 'off'} for server {self.backend}/{self.name}"


class SetAddress(msgspec.Struct, frozen=True):
    """Another address for a server; pooled connections to the old one are not used again."""

    backend: str
    name: str
    address: str
    port: int
    proved: Proof = ""

    def __str__(self) -> str:
        return f"move server {self.backend}/{self.name} to {self.address} port {self.port}"


class SetWeight(msgspec.Struct, frozen=True):
    """Gives a server another weight, 0 to 256."""

    backend: str
    name: str
    weight: int

    def __str__(self) -> str:
        return f"weight {self.weight} for server {self.backend}/{self.name}"


class SetState(msgspec.Struct, frozen=True):
    """`ready` ends `drain` and `maint`."""

    backend: str
    name: str
    state: Literal["ready", "drain", "maint"]
    proved: Proof = ""
    """For `ready`."""

    def __str__(self) -> str:
        return f"state {self.state} for server {self.backend}/{self.name}"


class RetireServer(msgspec.Struct, frozen=True):
    """Gives a server no new sessions; `retired` deletes it when the last one has ended."""

    backend: str
    name: str

    def __str__(self) -> str:
        return f"retire server {self.backend}/{self.name}"


class DeleteServer(msgspec.Struct, frozen=True):
    """Puts a server into maintenance and deletes it; HAProxy refuses that while it has connections."""

    backend: str
    name: str

    def __str__(self) -> str:
        return f"delete server {self.backend}/{self.name}"


class Correct(msgspec.Struct, frozen=True):
    """Puts back one thing that only a command can have changed."""

    command: str

    def __str__(self) -> str:
        return f"'{self.command}'"


FileKind = Literal["map", "acl"]


class AddEntry(msgspec.Struct, frozen=True):
    """A key that a map does not have, or a pattern that a list does not have."""

    kind: FileKind
    file: str
    key: str
    value: str
    """Empty for a list."""

    def __str__(self) -> str:
        return f"add '{self.key}' to {self.file}"


class SetEntry(msgspec.Struct, frozen=True):
    """Another value for a key of a map."""

    file: str
    key: str
    value: str

    def __str__(self) -> str:
        return f"set '{self.key}' in {self.file} to '{self.value}'"


class DelEntry(msgspec.Struct, frozen=True):
    """A key that leaves a map, or a pattern that leaves a list."""

    kind: FileKind
    file: str
    key: str

    def __str__(self) -> str:
        return f"delete '{self.key}' from {self.file}"


class ReplaceEntries(msgspec.Struct, frozen=True):
    """All entries of a map or a list at once, in this order: readers see the old or the new."""

    kind: FileKind
    file: str
    entries: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return f"replace all of {self.file} by {len(self.entries)} entries"


class CertificatePart(msgspec.Struct, frozen=True):
    """A file of a certificate: itself, or its key, issuer, OCSP answer beside it."""

    path: str
    pem: str

    def __repr__(self) -> str:
        return f"CertificatePart({self.path!r})"  # it holds a private key, and logs hold reprs


class SetCertificate(msgspec.Struct, frozen=True):
    """The content of a certificate; all its parts change at once."""

    path: str
    parts: tuple[CertificatePart, ...]
    """The certificate first: setting it forgets a key that was set before (measured)."""
    new: bool = False
    """HAProxy has none at this path yet."""

    def __str__(self) -> str:
        return f"{'new' if self.new else 'renewed'} certificate {self.path}"


class ListCertificate(msgspec.Struct, frozen=True):
    """A line for the end of a crt-list; the certificate is there already."""

    crt_list: str
    path: str
    line: str
    """As in the file: the path, and perhaps options and names."""

    def __str__(self) -> str:
        return f"add {self.path} to {self.crt_list}"


class UnlistCertificate(msgspec.Struct, frozen=True):
    """Removes the only line of a certificate from a crt-list."""

    crt_list: str
    path: str

    def __str__(self) -> str:
        return f"delete {self.path} from {self.crt_list}"


class DropCertificate(msgspec.Struct, frozen=True):
    """A certificate that no crt-list holds any more."""

    path: str

    def __str__(self) -> str:
        return f"delete certificate {self.path}"


Step = (
    AddBackend
    | PublishBackend
    | RetireBackend
    | AddServer
    | SetAddress
    | SetWeight
    | SetChecks
    | SetState
    | RetireServer
    | DeleteServer
    | Correct
    | AddEntry
    | SetEntry
    | DelEntry
    | ReplaceEntries
    | SetCertificate
    | ListCertificate
    | UnlistCertificate
    | DropCertificate
)

TouchesServer = AddServer | SetWeight | SetState | RetireServer | DeleteServer
"""Steps that change of a server what a person may set, too."""


def touched(step: TouchesServer) -> tuple[str, ...]:
    """Return what that is: `weight`, `state`, or both."""
    match step:
        case SetWeight():
            return ("weight",)
        case SetState():
            return ("state",)
        case _:
            return ("weight", "state")
