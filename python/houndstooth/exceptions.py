"""Exceptions of pipelines, under the names that HyperNodes gives them."""

from __future__ import annotations


class HoundstoothError(Exception):
    """Anything that this package raises itself."""


HyperNodesError = HoundstoothError


class DependencyError(HoundstoothError, ValueError):
    """Nodes cannot be wired: two of them have one output."""


class CycleError(HoundstoothError, ValueError):
    """Nodes need each other; the message has the path."""


class ExecutionError(HoundstoothError, RuntimeError):
    """A run failed outside any node."""


class RetryAfterError(HoundstoothError):
    """Raised by a node or method to be called again after some seconds.

    Parameters
    ----------
    retry_after : float
        Seconds.
    original : BaseException
        What is raised in its place after the last try.
    """

    def __init__(self, retry_after: float, original: BaseException | None = None) -> None:
        super().__init__(f"to be called again after {retry_after} s")
        self.retry_after, self.original = retry_after, original

    def __reduce__(self) -> tuple[type, tuple[float, BaseException | None]]:
        return type(self), (self.retry_after, self.original)
