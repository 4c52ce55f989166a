"""Retrieval: encoder, indexes, fusion, reranking and measures, as classes that load once per worker and batch.

The work is the library's, in C and without the interpreter's lock; here are the classes that pipelines and frames see.
A hit is a dict ``{"id", "passage_uuid", "score"}``, where both names hold the passage's id; lists are best first.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterable, Sequence
from typing import Any

from houndstooth import _core
from houndstooth._cls import cls, method

__all__ = [
    "BM25Index",
    "BM25IndexImpl",
    "ColBERTEncoder",
    "ColBERTReranker",
    "Collection",
    "MinMaxFusion",
    "NDCGEvaluator",
    "PLAIDIndex",
    "RRFFusion",
    "RecallEvaluator",
    "SuccessEvaluator",
    "evaluate",
    "read_corpus",
    "read_qrels",
    "read_queries",
]


def _rows(column: Any) -> tuple[Any, ...]:
    """A batch's column as a tuple: of a list, a Series, or an array."""
    ways = (getattr(column, name, None) for name in ("to_pylist", "tolist"))
    way = None if isinstance(column, (list, tuple)) else next((w for w in ways if w is not None), None)
    return tuple(way() if way else column)


def _model_folder(name: str) -> str:
    """Folder of a model; fetched by huggingface_hub where that is installed and the model is nowhere."""
    try:
        return _core.find_model(os.fspath(name))
    except ValueError as error:
        if os.path.isdir(name):
            raise
        try:
            from huggingface_hub import snapshot_download
        except ImportError:
            raise ValueError(f"{error}, or install huggingface_hub to have it fetched") from None
    return snapshot_download(name, allow_patterns=["*.json", "*.safetensors", "*.txt", "*.metadata"])


_models: weakref.WeakValueDictionary[tuple[Any, ...], Any] = weakref.WeakValueDictionary()
_loading = threading.Lock()


def _shared_model(*key: Any) -> Any:
    """One model for all live objects of equal arguments: its calls run side by side, each with a session."""
    folder, precision, threads, mix = key
    with _loading:
        model = _models.get(key)
        if model is None:
            model = _core.Encoder(folder, precision=precision, threads=threads, mix=mix)
            _models[key] = model
        return model


@cls
class ColBERTEncoder:
    """Token vectors and a pooled vector of texts (Khattab, Zaharia: ColBERT, SIGIR 2020).

    Parameters
    ----------
    model_name : str
        A folder, "default", the name of an installed model (``hound model list``) or of one in the Hugging Face cache,
        as "lightonai/GTE-ModernColBERT-v1". Else huggingface_hub fetches it, if that is installed.
    trust_remote_code : bool
        Accepted for other libraries' sake: no code of a model is ever run.
    precision : "auto", "f32" or "bf16"
        auto is bf16 where the CPU has AMX.
    threads : int
        Of one call; 0: one per CPU.
    mix : float
        Share of the pooled vector in each token's; negative: the model's own.

    Raises
    ------
    ValueError
        At the first call: there is no such model; the message says where to put it.
    """

    def __init__(
        self,
        model_name: str = "default",
        trust_remote_code: bool = True,
        *,
        precision: str = "auto",
        threads: int = 0,
        mix: float = -1.0,
    ) -> None:
        self.model_name = model_name
        self._model = _shared_model(_model_folder(model_name), precision, threads, mix)

    def encode(self, text: Any, is_query: bool = False) -> Any:
        """One text's embedding.

        Parameters
        ----------
        text : str or dict
            A text, or ``{"text", "title"}``.
        is_query : bool
            Which of its two ways the model reads it.

        Returns
        -------
        embedding : array [n_tokens, dim] of float32, unit length
            With ``vectors`` (itself) and ``pooled``, an array [dim]. numpy, DLPack and the buffer protocol share it.

        Raises
        ------
        TypeError
            Something else than a str, or a dict with a "text".
        """
        return self._model.encode((text,), is_query)[0]

    @method.batch(batch_size=64)
    def encode_batch(self, texts: list, is_query: bool = False) -> list:
        """Embeddings of many texts in one call, a list [n] of what `encode` gives for each alone."""
        return self._model.encode(_rows(texts), is_query)

    def encode_pooled(self, texts: Any, is_query: bool = False) -> Any:
        """Pooled vectors of many texts: one array [n, dim] of float32."""
        return self._model.pooled(_rows(texts), is_query)

    def info(self) -> dict[str, Any]:
        """The model: dim, n_layers, hidden, vocab_size, max_tokens, precision, mix, n_parameters, digest."""
        return self._model.info()


@cls
class PLAIDIndex:
    """An index of token vectors in a folder, searched by MaxSim: the sum over a query's vectors of the largest dot
    product with a passage's (Khattab, Zaharia 2020). Vectors are int8 with a scale; every passage is scored.

    Parameters
    ----------
    encoded_passages : list of {"uuid", "embedding"}
        Embeddings of an encoder, float arrays [n_tokens, dim], or lists of numbers. None: opens what is there.
    index_folder, index_name : str
        Where its files stand, ``index_folder/index_name.*``. No folder: in a file without a name, which ends with it.
    override : bool
        What becomes of an index of other passages there: replaced, or left with a ValueError. One of the same passages
        is opened as it is. One process builds while the others wait for its lock.

    Raises
    ------
    ValueError, TypeError
        At the first call: shapes differ, an id stands twice, there is no such index.
    """

    def __init__(
        self, encoded_passages: Any, index_folder: str | None = None, index_name: str = "index", override: bool = True
    ) -> None:
        if index_folder is None:
            self._index = _core.Native("TokenIndex", ("passages",), "encoded", _rows(encoded_passages))
            return
        folder = os.fspath(index_folder)
        if encoded_passages is None:
            self._index = _core.Native("TokenIndex", ("path",), "any", os.path.join(folder, index_name))
            return
        self._index = _core.run_node(
            "build_vector_index", "encoded", _rows(encoded_passages), "any", folder, "any", index_name, "any", override
        )

    def search(self, query_embedding: Any, k: int = 10) -> list[dict[str, Any]]:
        """The k best passages of one query [n_tokens, dim], as hits, best first; ties in the order of the passages.

        ValueError: vectors of another dim, k below 0. TypeError: something else than an embedding.
        """
        return self._index.call("search", "embedding", query_embedding, "any", k)

    @method.batch
    def search_batch(self, query_embeddings: list, k: int = 10) -> list:
        """`search` for many queries in one call: a list of hits for each."""
        return self._index.batch("search", "embedding", _rows(query_embeddings), "any", k)

    def search_pooled(self, query_embedding: Any, k: int = 10) -> list[dict[str, Any]]:
        """The k best by the dot product of pooled vectors, which all embeddings must bring."""
        return self._index.call("search_pooled", "embedding", query_embedding, "any", k)

    def rerank(self, query_embedding: Any, candidates: Any, k: int) -> list[dict[str, Any]]:
        """The first k of the candidates, hits or ids, ordered by MaxSim. ValueError: one is not in the index."""
        return self._index.call("rerank", "embedding", query_embedding, "hits", candidates, "any", k)

    @method.batch(over=("query_embeddings", "candidates"))
    def rerank_batch(self, query_embeddings: list, candidates: list, k: int) -> list:
        """`rerank` for many queries in one call."""
        queries, lists = _rows(query_embeddings), _rows(candidates)
        return self._index.batch("rerank", "embedding", queries, "hits", lists, "any", k)


@cls
class BM25Index:
    """An inverted index scored by BM25 as Lucene has it (Robertson, Zaragoza 2009; k1 1.2, b 0.75).

    Parameters
    ----------
    passages : list of {"uuid", "text", "title"}, or a corpus file
        A title is indexed in front of its text.
    analyzer : "english", "standard" or "whitespace"
    preset : "default" or "anserini"
        k1 1.2 and b 0.75, or 0.9 and 0.4.

    Raises
    ------
    ValueError
        At the first call: a passage without "uuid" or "text", an unknown analyzer or preset.
    """

    def __init__(self, passages: Any, analyzer: str = "english", preset: str = "default") -> None:
        if isinstance(passages, (str, os.PathLike)):
            passages = read_corpus(passages)
        names = ("passages", "analyzer", "preset")
        self._index = _core.Native("BM25Index", names, "passages", _rows(passages), "any", analyzer, "any", preset)

    def search(self, text: Any, k: int = 10) -> list[dict[str, Any]]:
        """The k best passages that hold a word of the query, a str or a dict with a "text", as hits, best first."""
        return self._index.call("search", "any", _text_of(text), "any", k)

    @method.batch
    def search_batch(self, texts: list, k: int = 10) -> list:
        """`search` for many queries in one call."""
        return self._index.batch("search", "any", tuple(map(_text_of, _rows(texts))), "any", k)


BM25IndexImpl = BM25Index


def _text_of(query: Any) -> Any:
    return query.get("text") if isinstance(query, dict) else query


@cls
class ColBERTReranker:
    """Candidates ordered by MaxSim with the query's token vectors.

    Parameters
    ----------
    encoder : ColBERTEncoder, or any object with encode(text, is_query)
    passage_lookup : dict, list or PLAIDIndex
        ``{uuid: encoded passage or embedding}``, a list of encoded passages, or an index of them.
    """

    def __init__(self, encoder: Any, passage_lookup: Any) -> None:
        self._encoder = encoder
        if isinstance(passage_lookup, dict):
            passage_lookup = [_encoded(uuid, value) for uuid, value in passage_lookup.items()]
        is_index = hasattr(passage_lookup, "rerank")
        self._index = passage_lookup if is_index else PLAIDIndex.__wrapped__(passage_lookup)

    def rerank(self, query: Any, candidates: Any, k: int) -> list[dict[str, Any]]:
        """The first k candidates, best first.

        Parameters
        ----------
        query : str or {"text"}
        candidates : list of hits
            With "id" or "passage_uuid", or ids alone. ValueError: one is not in the lookup.
        """
        return self._index.rerank(self._encoder.encode(_text_of(query), is_query=True), candidates, k)

    @method.batch(over=("queries", "candidates"))
    def rerank_batch(self, queries: list, candidates: list, k: int) -> list:
        """`rerank` for many queries, which are encoded in one call."""
        texts = [_text_of(q) for q in _rows(queries)]
        encoder = self._encoder
        if hasattr(encoder, "encode_batch"):
            embeddings = encoder.encode_batch(texts, is_query=True)
        else:
            embeddings = [encoder.encode(t, is_query=True) for t in texts]
        return self._index.rerank_batch(embeddings, candidates, k)


def _encoded(uuid: str, value: Any) -> dict[str, Any]:
    is_passage = isinstance(value, dict) and "embedding" in value
    return {"uuid": uuid, "embedding": value["embedding"] if is_passage else value}


@cls
class RRFFusion:
    """Reciprocal rank fusion: a passage's score is the sum of 1 / (k + rank) over the lists, ranks from 1 (Cormack,
    Clarke, Büttcher, SIGIR 2009). Ties by the best rank, then by id.

    Parameters
    ----------
    k : int
        At least 0.
    """

    def __init__(self, k: int = 60) -> None:
        self._fusion = _core.Native("RRFFusion", ("k",), "any", k)

    def fuse(self, lists: Any) -> list[dict[str, Any]]:
        """Lists of hits or ids, best first, as one such list of hits. ValueError: no list, a hit without an id."""
        return self._fusion.call("fuse", "lists", lists)

    @method.batch
    def fuse_batch(self, lists: list) -> list:
        """`fuse` for many queries in one call."""
        return self._fusion.batch("fuse", "lists", _rows(lists))


@cls
class MinMaxFusion:
    """The mean over the lists of scores that are scaled to 0..1 within each; who is missing in one has 0 there."""

    def __init__(self) -> None:
        self._fusion = _core.Native("MinMaxFusion", ())

    def fuse(self, lists: Any) -> list[dict[str, Any]]:
        """Lists of hits or ids, best first, as one such list of hits. ValueError: no list, a hit without an id."""
        return self._fusion.call("fuse", "lists", lists)

    @method.batch
    def fuse_batch(self, lists: list) -> list:
        """`fuse` for many queries in one call."""
        return self._fusion.batch("fuse", "lists", _rows(lists))


# ---- measures ----


def evaluate(
    run: Any,
    qrels: Any,
    measures: str | Sequence[str] = ("ndcg@10", "recall@100", "map", "mrr"),
    *,
    min_grade: int = 1,
    complete: bool = False,
    per_query: bool = False,
) -> dict[str, Any]:
    """Measures of a run as trec_eval computes them: order by score, then by id, descending.

    Parameters
    ----------
    run : list of {"query_uuid", "paragraph_uuid", "score"}, {query: {document: score}}, or a TREC run file
        "passage_uuid" is read in place of "paragraph_uuid".
    qrels : list of {"query_uuid", "paragraph_uuid", "label_score"}, {query: {document: grade}}, or a file of judgements
    measures : str or list of str
        "ndcg@10", "P@5", "recall@100", "success@5", "map", "mrr", "Rprec", "bpref", ...; trec_eval's names as well.
    min_grade : int
        Relevant from this grade on.
    complete : bool
        Queries without an answer count 0; else they are left out.
    per_query : bool
        Values of each query in place of the means.

    Returns
    -------
    dict
        ``{measure: mean}``, or ``{query: {measure: value}}``.

    Raises
    ------
    ValueError
        A measure that there is not, a document twice for one query, a score that is no finite number.
    """
    names = (measures,) if isinstance(measures, str) else tuple(measures)
    source, truth = (os.fspath(x) if isinstance(x, os.PathLike) else x for x in (run, qrels))
    return _core.evaluate(source, truth, names, min_grade=min_grade, complete=complete, per_query=per_query)


class _Cuts:
    """One measure at several cuts."""

    _measure = ""

    def __init__(self, k_list: Iterable[int]) -> None:
        self.k_list = list(k_list)
        self._measures = tuple(f"{self._measure}@{k}" for k in self.k_list)

    def compute(self, predictions: Any, ground_truths: Any) -> dict[str, float]:
        """``{"measure@k": mean over the judged queries that have predictions}``; as `evaluate` reads both."""
        return evaluate(predictions, ground_truths, self._measures)


@cls
class NDCGEvaluator:
    """Mean nDCG at k with gains equal to grades (Järvelin, Kekäläinen 2002; trec_eval's ndcg_cut)."""

    def __init__(self, k: int) -> None:
        self.k = k

    def compute(self, predictions: Any, ground_truths: Any) -> float:
        """The mean over the judged queries that have predictions; as `evaluate` reads both."""
        name = f"ndcg@{self.k}"
        return evaluate(predictions, ground_truths, name)[name]


@cls
class RecallEvaluator(_Cuts):
    """Mean recall at each k: the share of a query's relevant passages among its first k."""

    _measure = "recall"


@cls
class SuccessEvaluator(_Cuts):
    """Share of queries with a relevant passage among the first k, which some programs call recall@k."""

    _measure = "success"


# ---- collections and files ----


@cls
class Collection:
    """A collection that ``hound index`` made, opened for searching.

    Parameters
    ----------
    path : str
        Its folder.
    model : str
        In place of the folder that it remembers; the weights must be the same.
    threads : int
        Of one search; 0: one per CPU.
    """

    def __init__(self, path: str, model: str | None = None, threads: int = 0) -> None:
        self._collection = _core.Collection(os.fspath(path), model=model, threads=threads)

    def search(self, query: Any, k: int = 10, mode: str = "hybrid", fields: bool = False) -> list[dict[str, Any]]:
        """The k best documents of one query.

        Parameters
        ----------
        query : str
        mode : "bm25", "dense", "maxsim", "rrf", "hybrid" or "rerank"
        fields : bool
            With title and text.

        Returns
        -------
        hits : list of dict
            id, passage_uuid, score, and of the signals "bm25", "cosine", "maxsim" those that the mode computed.
        """
        return self._collection.search((_text_of(query),), k, mode, fields=fields)[0]

    @method.batch
    def search_batch(self, queries: list, k: int = 10, mode: str = "hybrid", fields: bool = False) -> list:
        """`search` for many queries, which are encoded in batches."""
        return self._collection.search(tuple(map(_text_of, _rows(queries))), k, mode, fields=fields)

    def explain(self, query: Any, k: int = 10, mode: str = "hybrid") -> list[dict[str, Any]]:
        """`search` with what each score is made of: "parts" of BM25, "matches" of tokens, title and text."""
        return self._collection.search((_text_of(query),), k, mode, explain=True)[0]

    def info(self) -> dict[str, Any]:
        """Generation, documents, size in bytes, model and which indexes there are."""
        return self._collection.info()


def read_corpus(path: Any) -> list[dict[str, str]]:
    """Passages ``{"uuid", "text", "title"}`` of a file.

    Parameters
    ----------
    path : str
        JSON lines with "_id" or "id", "text", "title" (.gz and .zst as well), or Parquet, which pyarrow reads, with a
        column of ids ("uuid", "id", "_id") and one of texts ("text", "passage").

    Raises
    ------
    ValueError
        No such file, or a line that is none; the message has its number.
    """
    path = os.fspath(path)
    if path.endswith(".parquet"):
        return _read_parquet(path)
    return _core.run_node("load_passages", "any", path)


def _read_parquet(path: str) -> list[dict[str, str]]:
    try:
        from pyarrow import parquet
    except ImportError:
        raise ImportError(f"{path}: pyarrow reads Parquet files; install it") from None
    table = parquet.read_table(path)
    ids = _column(table, path, ("uuid", "id", "_id"))
    texts = _column(table, path, ("text", "passage"))
    titles = table.column("title").to_pylist() if "title" in table.column_names else [""] * len(texts)
    return [{"uuid": str(i), "text": t, "title": h or ""} for i, t, h in zip(ids, texts, titles, strict=False)]


def _column(table: Any, path: str, names: tuple[str, ...]) -> list[Any]:
    for name in names:
        if name in table.column_names:
            return table.column(name).to_pylist()
    raise ValueError(f"{path}: no column {' or '.join(names)}; there are {', '.join(table.column_names)}")


def read_queries(path: Any) -> list[dict[str, str]]:
    """Queries ``{"uuid", "text"}`` of JSON lines or of TSV."""
    return _core.run_node("load_queries", "any", os.fspath(path))


def read_qrels(path: Any) -> list[dict[str, Any]]:
    """Judgements ``{"query_uuid", "paragraph_uuid", "label_score"}`` of a TREC or BEIR file."""
    return _core.read_qrels(os.fspath(path))
