"""The loop of a program that speaks Maelstrom's protocol: answers each message in a thread."""

from __future__ import annotations

import itertools
import json
import queue
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

Body = dict[str, Any]


class Refused(Exception):
    """An error that another node answered, or that this one answers: code and text."""


class Node:
    """`on`: what answers a message of each type, from its body and its sender; None: nothing."""

    def __init__(self) -> None:
        self.id = ""
        self.ids: list[str] = []
        self.on: dict[str, Callable[[Body, str], Body | None]] = {"init": self._init}
        self.lock = threading.RLock()
        self._out = threading.Lock()
        self._numbers = itertools.count(1)
        self._waiting: dict[int, queue.Queue[Body]] = {}

    def send(self, dest: str, body: Body) -> None:
        line = json.dumps({"src": self.id, "dest": dest, "body": body})
        with self._out:
            print(line, flush=True)

    def ask(self, dest: str, body: Body, within: float = 1.0) -> Body:
        """The answer to a request. Raises queue.Empty when it is late."""
        number, answers = next(self._numbers), queue.Queue[Body]()
        self._waiting[number] = answers
        self.send(dest, {**body, "msg_id": number})
        try:
            answer = answers.get(timeout=within)
        finally:
            del self._waiting[number]
        if answer["type"] == "error":
            raise Refused(answer["code"], answer.get("text"))
        return answer

    def others(self) -> list[str]:
        return [node for node in self.ids if node != self.id]

    def every(self, seconds: float, act: Callable[[], None]) -> None:
        """Do it again and again, once there are other nodes."""

        def loop() -> None:
            while True:
                time.sleep(seconds)
                if self.ids:
                    act()

        threading.Thread(target=loop, daemon=True).start()

    def run(self) -> None:
        for line in sys.stdin:
            message = json.loads(line)
            waiting = self._waiting.get(message["body"].get("in_reply_to"))
            if waiting is not None:
                waiting.put(message["body"])
            elif message["body"]["type"] == "init":
                self._answer(message)
            else:
                threading.Thread(target=self._answer, args=(message,), daemon=True).start()

    def _init(self, body: Body, src: str) -> Body:
        self.id, self.ids = body["node_id"], body["node_ids"]
        return {"type": "init_ok"}

    def _answer(self, message: dict[str, Any]) -> None:
        body, src = message["body"], message["src"]
        if body["type"] not in self.on:
            return
        try:
            answer = self.on[body["type"]](body, src)
        except Refused as refused:
            code, text = refused.args
            answer = {"type": "error", "code": code, "text": text}
        except queue.Empty:
            answer = {"type": "error", "code": 0, "text": "no answer"}
        if answer is not None:
            self.send(src, {**answer, "in_reply_to": body.get("msg_id")})
