"""Results of a map one by one, in order, as they come.

The run is in a thread of its own. It waits where `ROOM` results have no reader yet, so that beside those no more than
the engine's window is kept, however long the map is.
"""

from __future__ import annotations

import contextvars
import queue
import threading
from collections.abc import Iterator
from typing import Any

ROOM = 64  # results that wait for their reader
_WAIT = 0.05  # seconds between looks at whether there still is one
_RESULT, _ERROR, _END = range(3)


class _Closed(BaseException):
    """The reader wants no more: no failure, so that nothing repeats or collects it."""


class _Stream:
    """What the thread of the run and the reader share."""

    def __init__(self) -> None:
        self.results: queue.Queue[tuple[int, Any]] = queue.Queue(ROOM)
        self.stop = bytearray(1)  # its byte ends the run where it looks for a cancellation

    def put(self, kind: int, value: Any) -> None:
        while not self.stop[0]:
            try:
                self.results.put((kind, value), timeout=_WAIT)
                return
            except queue.Full:
                continue
        if kind == _RESULT:
            raise _Closed

    def take(self, item: int, value: Any) -> None:
        """A result, given by the run."""
        self.put(_RESULT, value)


def stream(pipeline: Any, inputs: dict[str, Any], outputs: Any, engine: Any, request: Any) -> Iterator[Any]:
    """Runs the map in a thread, its results here.

    Closing the generator, or leaving it to the garbage collector, cancels the run and waits until it has ended. What
    the run raises is raised by the `next` behind the last result.

    Yields
    ------
    dict or Failure
        Of one item, in input order.
    """
    from houndstooth.pipeline import _with_failures

    made = _Stream()

    def run() -> None:
        try:
            engine._run(pipeline, inputs, outputs, request._replace(result=(made.take, made.stop)))
        except BaseException as error:  # the reader's, whatever it is
            made.put(_ERROR, error)
        else:
            made.put(_END, None)

    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(run,), name="houndstooth-stream", daemon=True)
    thread.start()
    try:
        while True:
            kind, value = made.results.get()
            if kind == _END:
                return
            if kind == _ERROR:
                raise value
            yield _with_failures([value], request.collect)[0]
    finally:
        made.stop[0] = 1
        thread.join()
