"""Event loops for coroutines of nodes: the caller's where it has handed one over, else one thread of our own."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import os
import threading
import weakref
from collections.abc import Callable
from typing import Any

_lock = threading.Lock()
_own: _Loop | None = None
_given = contextvars.ContextVar[Any]("houndstooth_loop", default=None)


class _Loop:
    """A loop and the coroutines that wait to be started on it: many are handed over by one wake-up."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.waiting: list[tuple[Any, Any, contextvars.Context]] = []
        self.woken = False
        self.tasks: set[asyncio.Task[Any]] = set()
        self.cancelled = False

    def spawn(self, coroutine: Any, completion: Any) -> None:
        with _lock:
            self.waiting.append((coroutine, completion, contextvars.copy_context()))
            if self.woken:
                return
            self.woken = True
        self.loop.call_soon_threadsafe(self._start)

    def _start(self) -> None:
        with _lock:
            waiting, self.waiting, self.woken = self.waiting, [], False
        for coroutine, completion, context in waiting:
            if self.cancelled:
                coroutine.close()
                completion(None, asyncio.CancelledError())
                continue
            task = self.loop.create_task(_finish(coroutine, completion), context=context)
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    def cancel(self) -> None:
        """Ends what is under way and starts nothing more; on the loop's own thread."""
        self.cancelled = True
        for task in self.tasks.copy():
            task.cancel()


_gates: weakref.WeakKeyDictionary[Any, dict[tuple[int, int], list[Any]]] = weakref.WeakKeyDictionary()


def limited(method: Callable[..., Any], n: int) -> Callable[..., Any]:
    """An asynchronous method, of whose object no more than n calls are under way on a loop; others wait their turn."""

    @functools.wraps(method)
    async def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        gates = _gates.setdefault(asyncio.get_running_loop(), {})
        key = (id(self), n)
        gate = gates.setdefault(key, [asyncio.Semaphore(n), 0])  # and who is in it or waits
        gate[1] += 1
        try:
            async with gate[0]:
                return await method(self, *args, **kwargs)
        finally:
            gate[1] -= 1
            if gate[1] == 0:
                del gates[key]

    return call


def limited_function(function: Callable[..., Any], n: int) -> Callable[..., Any]:
    """An asynchronous function, of which no more than n calls are under way on a loop."""

    async def method(_: Any, *args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs)

    call = limited(method, n)
    return functools.wraps(function)(lambda *args, **kwargs: call(function, *args, **kwargs))


async def _finish(coroutine: Any, completion: Any) -> None:
    try:
        result = await coroutine
    except BaseException as error:
        completion(None, error)
        if not isinstance(error, Exception):
            raise
    else:
        completion(result, None)


def _own_loop() -> _Loop:
    global _own
    if _own is None:
        with _lock:
            if _own is None:
                made = _Loop(asyncio.new_event_loop())
                threading.Thread(target=made.loop.run_forever, name="houndstooth-async", daemon=True).start()
                _own = made
    return _own


def _forget() -> None:
    global _own, _lock
    _own, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget)


def spawn(coroutine: Any, completion: Any) -> None:
    """Runs a coroutine; ``completion(result, exception)`` ends its call. Any thread."""
    if not hasattr(coroutine, "__await__"):
        completion(coroutine, None)
        return
    (_given.get() or _own_loop()).spawn(coroutine, completion)


def wait(coroutine: Any) -> Any:
    """What a coroutine comes to, awaited on the loop; not from the loop's own thread."""
    done = threading.Event()
    came: list[Any] = []

    def completion(result: Any, error: BaseException | None) -> None:
        came.extend((result, error))
        done.set()

    spawn(coroutine, completion)
    done.wait()
    if came[1] is not None:
        raise came[1]
    return came[0]


async def call_away(instance: Any, name: str, args: tuple[Any, ...]) -> Any:
    """An asynchronous method of an object in another process, which awaits it there."""
    return await asyncio.to_thread(instance._call, name, *args)


async def run_in_thread(function: Callable[[bytearray], Any]) -> Any:
    """Calls a function in a thread whose coroutines run on the caller's loop.

    Cancelled, it sets the byte that the function was given, cancels the coroutines, and waits for the function's end;
    cancelled once more, it does not wait.
    """
    loop = asyncio.get_running_loop()
    context, given, stop = contextvars.copy_context(), _Loop(loop), bytearray(1)
    context.run(_given.set, given)
    run = loop.run_in_executor(None, context.run, function, stop)
    try:
        return await asyncio.shield(run)
    except asyncio.CancelledError:
        stop[0] = 1
        given.cancel()
        await asyncio.wait([run])
        if not run.cancelled():
            run.exception()  # looked at: asyncio need not tell of it
        raise
