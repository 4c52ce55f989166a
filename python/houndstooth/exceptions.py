"""Exceptions of pipelines, under the names that HyperNodes gives them."""

from __future__ import annotations


class HoundstoothError(Exception):
    """Base of this package's own exceptions. What is wrong in a call is a ValueError or another of Python's."""


HyperNodesError = HoundstoothError


class DependencyError(HoundstoothError, ValueError):
    """Nodes cannot be wired: two of them have one output."""


class CycleError(HoundstoothError, ValueError):
    """Nodes need each other; the message has the path."""


class ExecutionError(HoundstoothError, RuntimeError):
    """Nothing raises it: for programs that catch HyperNodes'."""


class RetryAfterError(HoundstoothError):
    """For nodes and methods with `max_retries` to raise: they are called again after this time, not their own wait.

    Parameters
    ----------
    retry_after : float
        Seconds.
    original : BaseException
        What is raised in its place when the tries are over.
    """

    def __init__(self, retry_after: float, original: BaseException | None = None) -> None:
        super().__init__(f"to be called again after {retry_after} s")
        self.retry_after, self.original = retry_after, original

    def __reduce__(self) -> tuple[type, tuple[float, BaseException | None]]:
        return type(self), (self.retry_after, self.original)
