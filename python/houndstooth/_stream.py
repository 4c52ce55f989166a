"""Results of a map one by one, in order, as they come."""

from __future__ import annotations

import contextvars
import queue
import threading
from collections.abc import Iterator
from typing import Any

_ROOM = 64  # results that wait for their reader


class _Closed(BaseException):
    """The reader wants no more."""


class _Stream:
    def __init__(self) -> None:
        self.results: queue.Queue[Any] = queue.Queue(_ROOM)
        self.closed = False

    def put(self, kind: str, value: Any) -> None:
        while not self.closed:
            try:
                self.results.put((kind, value), timeout=0.1)
                return
            except queue.Full:
                pass
        if kind == "result":
            raise _Closed

    def take(self, item: int, value: Any) -> None:
        self.put("result", value)


def stream(pipeline: Any, inputs: dict[str, Any], outputs: Any, engine: Any, request: Any) -> Iterator[Any]:
    """The run in a thread, its results here; closing it early ends the run."""
    from houndstooth.pipeline import _with_failures

    made = _Stream()

    def run() -> None:
        try:
            engine._run(pipeline, inputs, outputs, request._replace(result=made.take))
        except BaseException as error:
            made.put("error", error)
        else:
            made.put("end", None)

    thread = threading.Thread(
        target=contextvars.copy_context().run, args=(run,), name="houndstooth-stream", daemon=True
    )
    thread.start()
    try:
        while True:
            kind, value = made.results.get()
            if kind == "error":
                raise value
            if kind == "end":
                return
            yield _with_failures([value])[0]
    finally:
        made.closed = True
        thread.join()
