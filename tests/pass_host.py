"""A stack with one agent, run pass by pass."""

from harness.etcd import open_etcd
from harness.stack import Stack
from lbsync.agent.agent import Agent
from lbsync.agent.control import Control
from lbsync.agent.generations.store import Store
from lbsync.cli.configuration.prepare import prepare
from lbsync.settings import load


class Host:
    """A stack with one agent, run pass by pass."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.agent = self.fresh_agent()
        self.control = Control(stack.state)

    def fresh_agent(self, *, timeout: float = 5.0) -> Agent:
        """An agent that knows no more than the disk does, as after a restart.

        `timeout`: seconds that it waits for etcd; fewer where there is none.
        """
        settings = load(self.stack.config_file)
        endpoints = tuple(node.url for node in self.stack.etcd.nodes)
        self.source = open_etcd(endpoints, timeout=timeout)
        return Agent(settings, self.source)

    def prepare(self) -> None:
        settings = load(self.stack.config_file)
        prepare(settings, Store(self.stack.state, 5))

    def restart_agent(self, *, timeout: float = 5.0) -> None:
        """`timeout`: as in `fresh_agent`."""
        self.source.close()
        self.agent = self.fresh_agent(timeout=timeout)

    def text(self) -> str:
        return (self.stack.state / "live" / "haproxy.cfg").read_text()
