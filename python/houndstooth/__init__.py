"""Houndstooth: pipelines of nodes that batch by themselves, and retrieval on ordinary CPUs."""

from __future__ import annotations

import sys
from typing import Any

if "t" in getattr(sys, "abiflags", ""):
    raise ImportError(
        "houndstooth needs a CPython with the global interpreter lock; this one is a free-threaded build: "
        "use the usual build of the same version"
    )

from houndstooth import engines, exceptions, pipeline_node, sequential_engine
from houndstooth import node as _node
from houndstooth import pipeline as _pipeline
from houndstooth._cls import cls, method, stateful, stats
from houndstooth._core import Cancelled
from houndstooth._core import version as _version
from houndstooth.cache import Cache, DiskCache, MemoryCache
from houndstooth.engines import SeqEngine, SequentialEngine, ThreadEngine
from houndstooth.exceptions import CycleError, DependencyError, HoundstoothError, RetryAfterError
from houndstooth.pipeline import Failure, Pipeline, PipelineNode

# The module houndstooth.node and the decorator share their name, as HyperNodes' do: the package's attribute is the
# decorator, and `from houndstooth.node import Node` finds the module.
DualNode, Node, node = _node.DualNode, _node.Node, _node.node

__version__ = _version()

_LAZY = {
    "ProcessEngine": "_processes",
    "DaskEngine": "_dask",
    "DaftEngine": "_daft",
    "PipelineCallback": "callbacks",
    "CallbackContext": "callbacks",
    "ProgressCallback": "telemetry",
    "TelemetryCallback": "telemetry",
    "func": "_func",
    "Series": "_frame",
    "DataType": "_frame",
    "DataFrame": "_frame",
    "from_pydict": "_frame",
    "from_pylist": "_frame",
    "from_arrow": "_frame",
    "col": "_frame",
    "lit": "_frame",
    "ColBERTEncoder": "_retrieval",
    "PLAIDIndex": "_retrieval",
    "BM25Index": "_retrieval",
    "BM25IndexImpl": "_retrieval",
    "ColBERTReranker": "_retrieval",
    "RRFFusion": "_retrieval",
    "MinMaxFusion": "_retrieval",
    "NDCGEvaluator": "_retrieval",
    "RecallEvaluator": "_retrieval",
    "SuccessEvaluator": "_retrieval",
    "Collection": "_retrieval",
    "evaluate": "_retrieval",
    "read_corpus": "_retrieval",
    "read_qrels": "_retrieval",
    "read_queries": "_retrieval",
    "show_config": "_config",
    "current_device": "_core",
}


def __getattr__(name: str) -> Any:
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module 'houndstooth' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module("houndstooth." + module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})


__all__ = [
    "Cache",
    "Cancelled",
    "CycleError",
    "DependencyError",
    "DiskCache",
    "DualNode",
    "Failure",
    "HoundstoothError",
    "MemoryCache",
    "Node",
    "Pipeline",
    "PipelineNode",
    "RetryAfterError",
    "SeqEngine",
    "SequentialEngine",
    "ThreadEngine",
    "cls",
    "method",
    "node",
    "stateful",
    "stats",
    *_LAZY,
]
