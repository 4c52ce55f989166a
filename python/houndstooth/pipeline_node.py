"""`PipelineNode`, where HyperNodes has it."""

from houndstooth.pipeline import PipelineNode

__all__ = ["PipelineNode"]
