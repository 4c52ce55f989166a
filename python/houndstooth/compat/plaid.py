"""``from houndstooth.compat.plaid import build_index`` in place of plaid's."""

from __future__ import annotations

from typing import Any

from houndstooth._retrieval import PLAIDIndex


def build_index(encoded_passages: Any, index_folder: str, index_name: str, override: bool = True) -> Any:
    """Builds at once; the result has ``search(query_embedding, k)`` as `PLAIDIndex`."""
    return PLAIDIndex.__wrapped__(encoded_passages, index_folder, index_name, override)
