"""``from houndstooth.compat.colbert import Checkpoint`` in place of colbert's."""

from __future__ import annotations

from houndstooth._retrieval import ColBERTEncoder


class Checkpoint(ColBERTEncoder.__wrapped__):
    """``Checkpoint(model_name, trust_remote_code)``: loads at once; `encode` and `encode_batch` as `ColBERTEncoder`."""
