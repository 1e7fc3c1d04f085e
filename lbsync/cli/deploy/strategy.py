"""Command line flags for a strategy."""

import argparse

import msgspec

from lbsync.cli.context import value_of
from lbsync.errors import Rejected
from lbsync.model.deploying import Strategy
from lbsync.schema.consistency import wrong_with_strategy
from lbsync.values.basic import Duration, Pause
from lbsync.values.deploying import Require

_FIELDS = (
    "steps", "pause", "manual", "preview", "watch", "require", "stage_timeout", "converge_timeout", "drain_timeout",
    "keep_old",
)  # fmt: skip


def add_strategy(parser: argparse.ArgumentParser) -> None:
    """Add them. What is not given stays as it is, or as it is by default."""
    group = parser.add_argument_group("strategy (docs/deployer.md)")
    default = Strategy()
    group.add_argument(
        "--steps", type=_steps, metavar="PERCENT[,PERCENT…]",
        help="successive shares of the traffic, as in 5,25,100 (default: all at once)",
    )  # fmt: skip
    group.add_argument(
        "--pause",
        type=value_of(Pause.parse),
        metavar="DURATION",
        help="wait this long after each step except the last (default: 0)",
    )
    group.add_argument(
        "--manual", action="store_true", default=None,
        help="wait for 'lbsync deploy promote' before each step except the first",
    )  # fmt: skip
    group.add_argument(
        "--preview", action="store_true", default=None,
        help="the first step waits, too; until then, only clients allowed by the service's preview see the new version",
    )  # fmt: skip
    for option, kind, text in (
        ("watch", Pause, "how long the new version is watched after each step"),
        ("stage-timeout", Duration, "time for every balancer to find the new servers up"),
        ("converge-timeout", Duration, "time for every balancer to verify a switch"),
        ("drain-timeout", Pause, "how long to wait for sessions of the old version to end"),
        ("keep-old", Pause, "how long the old version is kept, ready to take the traffic back"),
    ):
        group.add_argument(
            f"--{option}", type=value_of(kind.parse), metavar="DURATION",
            help=f"{text} (default: {getattr(default, option.replace('-', '_'))})",
        )  # fmt: skip
    group.add_argument(
        "--require", type=value_of(Require.parse), metavar="all|N|N%",
        help="how many known hosts must confirm; every host that reports must in any case (default: all)",
    )  # fmt: skip


def strategy_of(args: argparse.Namespace, base: Strategy | None = None) -> Strategy:
    """Return the strategy that the flags make of `base`. Raises `Rejected` for one that makes no sense."""
    given = {field: value for field in _FIELDS if (value := getattr(args, field, None)) is not None}
    strategy = msgspec.structs.replace(base or Strategy(), **given)
    if wrong := wrong_with_strategy(strategy):
        raise Rejected(f"--{wrong}")
    return strategy


def _steps(text: str) -> tuple[int, ...]:
    found = []
    for part in text.split(","):
        number = part.strip().removesuffix("%")
        if not number.isascii() or not number.isdecimal() or not 1 <= int(number) <= 100:
            raise argparse.ArgumentTypeError(
                f"{part.strip()!r} is no share: write whole percents from 1 to 100, as in 5,25,100"
            )
        found.append(int(number))
    return tuple(found)
