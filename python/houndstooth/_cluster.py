"""What engines on other systems share: slices as bytes there, replies back."""

from __future__ import annotations

import threading
from typing import Any

from houndstooth import _core
from houndstooth.engines import Engine

_lock = threading.Lock()
_loaded: set[str] = set()


def serve_slice(key: bytes, job: bytes, data: bytes) -> bytes:
    """The reply to a slice, in whatever process this runs: one object of each class there."""
    return _core.serve(key, job, data, None)


def serve_plain(key: bytes, job: bytes, data: bytes, plugins: tuple[str, ...]) -> bytes:
    """The reply to a slice of a C program; plug-ins are loaded once in each process."""
    with _lock:
        for path in plugins:
            if path not in _loaded:
                _core.load_plugin(path)
                _loaded.add(path)
    return _core.serve(key, job, data, None)


def serve_marked(key: bytes, job: bytes, data: bytes, objects: Any = None) -> bytes:
    """The reply behind a zero byte, or behind a one what went wrong: an answer either way."""
    from houndstooth._pickle import dump_exception

    try:
        return b"\0" + _core.serve(key, job, data, objects)
    except Exception as error:
        return b"\1" + dump_exception(error)


def take_marked(reply: bytes, done: Any) -> None:
    """Ends a slice with what `serve_marked` gave."""
    from houndstooth._pickle import load_exception

    if reply[:1] == b"\0":
        done(reply[1:], None)
    else:
        done(None, load_exception(reply[1:]))


class ClusterEngine(Engine):
    """Slices of maps go elsewhere; what stands outside maps runs here."""

    _kind = 2
    _local = False  # slices stay in this process, and objects are named instead of encoded

    def _workers(self) -> int:
        raise NotImplementedError

    def _run(self, pipeline: Any, inputs: dict[str, Any], outputs: list[str] | None, request: Any) -> Any:
        self._objects = _core.References() if self._local else None
        self._plain = None if self.callbacks else self._settings()
        try:
            return super()._run(pipeline, inputs, outputs, request)
        finally:
            self._objects = self._plain = None
            self._ended()

    def _settings(self, event: Any = None) -> Any:
        return _core.Engine(
            self._kind,
            workers=self._workers(),
            window=self.window,
            batch_max=0 if self.batch else 1,
            cache=getattr(self.cache, "_core", None),
            trace=self.last_trace,
            event=event,
            timeout_ms=round(1000 * self.timeout) if self.timeout else 0,
            submit=self._submit,
            flush=getattr(self, "_flush", None),
            objects=getattr(self, "_objects", None),
        )

    def _submit(self, key: bytes, job: bytes, data: bytes, done: Any) -> None:
        raise NotImplementedError

    def _ended(self) -> None:
        """A run is over."""
