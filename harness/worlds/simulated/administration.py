"""The admin port of one life of a simulated node: what it is asked, and what faults it is given."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from dynamesis.cluster.config.config import Config
from dynamesis.cluster.core.protocol.events import AdminRequest, Answer

if TYPE_CHECKING:
    from dynamesis.harness.worlds.simulated.node import NodeLife


#: commands that change nothing in a node; a dump may find rows that are damaged
_READS = frozenset(("ring", "figures"))


class Administration:
    """Answers commands: some by the node's shell, the others by its core."""

    def __init__(self, node: NodeLife, config: Config, numbers: Iterator[int]) -> None:
        """`numbers`: names of questions, of which the node uses each once."""
        self._node = node
        self._config = config
        self._numbers = numbers
        self._asked: dict[int, Callable[[Answer], None]] = {}
        self._born = node.loop.now
        #: the status that was answered last, and when: virtual time, and how much had happened
        self._status: Answer | None = None
        self._as_of = (0.0, 0)
        self._own: dict[str, Callable[[dict[str, Any]], object]] = {
            "introduce": self._introduce,
            "disk": self._inject,
            "clock": self._set_clock,
        }

    def answered(self, answer: Answer) -> None:
        """The core has answered."""
        self._asked.pop(answer.token)(answer)

    def ask(self, command: str, args: dict[str, Any]) -> Answer:
        """The answer to a command of the admin port. Asked for its status again while no time has
        passed and nothing has happened, the node answers what it has answered."""
        if command != "status":
            if command not in _READS:
                self._status = None
            return self._ask(command, args)
        loop = self._node.loop
        now = loop.now, loop.steps
        if self._status is None or self._as_of != now:
            self._status, self._as_of = self._ask(command, args), now
        return self._status

    def _ask(self, command: str, args: dict[str, Any]) -> Answer:
        if command in self._own:
            try:
                return Answer(0, self._own[command](args))
            except (TypeError, ValueError) as wrong:
                return Answer(0, error=f"{command}: {wrong}")
        answers: list[Answer] = []
        token = next(self._numbers)
        self._asked[token] = answers.append
        self._node.post(AdminRequest(token, command, args))
        if not answers:
            return Answer(token, error=f"{command}: no answer")
        answer = answers[0]
        if command == "status" and answer.error is None:
            return Answer(token, {"ready": True, **answer.result, **self.facts()})
        return answer

    def facts(self) -> dict[str, object]:
        """What the core cannot know of its process."""
        node, faulty = self._node, self._config.storage.faults
        return {
            "pid": node.pid,
            "rss": 0,
            "uptime": round(node.loop.now - self._born, 3),
            "engine": self._config.storage.engine,
            "put_aside": [],
            "disk": node.disk.status() if faulty else None,
            "clock": node.clock.status(),
            "unsent": node.unsent(),
            "owed": node.owed(),
            "links": node.peers.status(),
            "objections": {},  # all of them were started with one configuration
        }

    def _introduce(self, args: dict[str, Any]) -> object:
        self._node.introduce(args["id"], args["address"])
        return args

    def _inject(self, args: dict[str, Any]) -> object:
        if not self._config.storage.faults:
            raise ValueError("faults are off; set storage.faults: true")
        status = self._node.disk.inject(**args)
        self._node.emit("disk-fault", **status)
        return status

    def _set_clock(self, args: dict[str, Any]) -> object:
        if not self._config.clock_faults:
            raise ValueError("faults are off; set clock_faults: true")
        self._node.clock.set(**args)
        status = self._node.clock.status()
        self._node.emit("clock-fault", **status)
        return status
