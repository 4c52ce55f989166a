"""`SeqEngine`, where HyperNodes has it."""

from houndstooth.engines import SeqEngine, SequentialEngine

__all__ = ["SeqEngine", "SequentialEngine"]
