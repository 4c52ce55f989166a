"""``from houndstooth.compat.sentence_transformers import SentenceTransformer`` in place of sentence_transformers'."""

from __future__ import annotations

from typing import Any

from houndstooth._retrieval import ColBERTEncoder


class SentenceTransformer:
    """A model whose `encode` gives pooled vectors of unit length; loads at once.

    Parameters
    ----------
    model_name : str
        As of `ColBERTEncoder`.
    """

    def __init__(self, model_name: str, trust_remote_code: bool = True, **options: Any) -> None:
        self._encoder = ColBERTEncoder.__wrapped__(model_name, trust_remote_code, **options)

    def encode(self, sentences: Any) -> Any:
        """An array [dim] of a text, or [n, dim] of a list; with ``tolist()``, float32."""
        if isinstance(sentences, str):
            return self._encoder.encode_pooled([sentences])[0]
        return self._encoder.encode_pooled(sentences)
