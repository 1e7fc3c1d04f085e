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

    def fresh_agent(self) -> Agent:
        """An agent that knows no more than the disk does, as after a restart."""
        settings = load(self.stack.config_file)
        endpoints = tuple(node.url for node in self.stack.etcd.nodes)
        self.source = open_etcd(endpoints, timeout=5.0)
        return Agent(settings, self.source)

    def prepare(self) -> None:
        settings = load(self.stack.config_file)
        prepare(settings, Store(self.stack.state, 5))

    def restart_agent(self) -> None:
        self.source.close()
        self.agent = self.fresh_agent()

    def text(self) -> str:
        return (self.stack.state / "live" / "haproxy.cfg").read_text()
