"""What rendering produces: a set of files with one digest, still in memory."""

import msgspec


class RenderedFile(msgspec.Struct, frozen=True):
    """One file of a generation."""

    path: str
    """Relative to the generation's directory: `haproxy.cfg`, `maps/routes.map`."""
    data: bytes
    mode: int = 0o644
    """Permission bits; 0o600 or 0o640 for what holds a private key."""


class Rendered(msgspec.Struct, frozen=True):
    """A whole set, named by the digest of its content.

    The digest is SHA-256 over path and data of each file, taken while the place of the digest
    itself (`description` in `global`) holds a fixed stand-in, so it can be written into the file.
    """

    digest: str
    """First 16 hex digits; unique enough to tell generations apart, short enough to read aloud."""
    files: tuple[RenderedFile, ...]
    """Sorted by path; `haproxy.cfg` is always among them."""
