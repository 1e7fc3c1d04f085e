"""Values of which a deployment's strategy is made, each valid by construction."""

import re

_REQUIRE = re.compile(r"([1-9][0-9]{0,3})(%?)\Z")


class Require(str):
    """How many hosts of the fleet have to confirm: `all`, a number as `2`, or a share as `67%`.

    Every host that reports has to in any case; this says how many that must be, of all that are known.
    """

    __slots__ = ()

    @classmethod
    def parse(cls, raw: object) -> "Require":
        """Return it as written. Raises ValueError with the choices."""
        text = str(raw) if isinstance(raw, (str, int)) and not isinstance(raw, bool) else ""
        match = _REQUIRE.match(text)
        if text != "all" and (match is None or (match[2] and int(match[1]) > 100)):
            raise ValueError(
                f"{raw!r} is no number of hosts: write all, a number as in 2, or a share as in 67%"
            )
        return cls(text)

    def of(self, hosts: int) -> int:
        """Return how many of so many hosts have to confirm; at least one."""
        match = _REQUIRE.match(self)
        if match is None:
            return max(1, hosts)
        wanted = int(match[1])
        # Rounded up: two thirds of two hosts are two.
        return max(1, -(-hosts * wanted // 100)) if match[2] else wanted
