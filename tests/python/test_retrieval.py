"""Retrieval in Python: against golden vectors, numpy by brute force, the `hound` command, and what is wrong."""

from __future__ import annotations

import gc
import json
import os
import pickle
import resource
import subprocess
from pathlib import Path

import houndstooth as ht
import numpy as np
import pytest
from houndstooth import _core

ROOT = Path(__file__).resolve().parents[2]
HOUND = os.environ.get("HOUND", str(ROOT / "build/release/hound"))
MODEL = str(ROOT / "tests/data/golden/bert_tiny")
CACM = ROOT / "tests/data/cacm"
WORDS = "boundary layer wing heat transfer flow shock body theory speed".split()


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


@pytest.fixture(scope="module")
def encoder():
    return ht.ColBERTEncoder(MODEL, threads=1)


@pytest.fixture(scope="module")
def passages(encoder):
    rng = np.random.default_rng(7)
    texts = [" ".join(rng.choice(WORDS, 3 + i % 9)) for i in range(60)]
    embeddings = encoder.encode_batch(texts)
    return [
        {"uuid": f"p{i}", "text": t, "embedding": e} for i, (t, e) in enumerate(zip(texts, embeddings, strict=False))
    ]


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    path = tmp_path_factory.mktemp("collection") / "cacm.ht"
    subprocess.run([HOUND, "index", path, "--corpus", CACM / "corpus.jsonl", "--model", MODEL, "-q"], check=True)
    return path


# ---- encoder ----


def test_vectors_are_those_of_transformers() -> None:
    golden = json.loads(Path(MODEL, "golden.json").read_text())
    model = ht.ColBERTEncoder(MODEL, precision="f32", mix=0.0, threads=1)
    compared = 0
    for case in golden["cases"]:
        vectors = np.asarray(model.encode(case["text"], is_query=True))
        if len(case["input_ids"]) != len(vectors) or 0 in case["attention_mask"]:
            continue
        np.testing.assert_allclose(vectors, unit(np.array(case["last_hidden_state"])), atol=2e-5)
        compared += 1
    assert compared >= 5


def test_a_batch_gives_what_rows_give(encoder) -> None:
    texts = ["heat transfer", "", {"text": "of a wing", "title": "Flow"}, "a " * 400, "heat transfer"]
    together = encoder.encode_batch(texts * 20)
    alone = [encoder.encode(t) for t in texts]
    for i, embedding in enumerate(together):
        np.testing.assert_array_equal(embedding, np.asarray(alone[i % 5]))
        np.testing.assert_array_equal(embedding.pooled, np.asarray(alone[i % 5].pooled))
    pooled = np.asarray(encoder.encode_pooled(["heat transfer", "flow"]))
    np.testing.assert_array_equal(pooled[0], np.asarray(alone[0].pooled))


def test_an_embedding_is_shared_with_numpy_and_dlpack(encoder) -> None:
    embedding = encoder.encode("heat transfer of a body")
    array = np.asarray(embedding)
    again = np.from_dlpack(embedding)
    assert array.dtype == np.float32 and array.shape == embedding.shape == again.shape
    assert array.ctypes.data == again.ctypes.data == np.frombuffer(memoryview(embedding).cast("B")).ctypes.data
    assert not array.flags.writeable and not again.flags.writeable
    np.testing.assert_allclose(np.linalg.norm(array, axis=1), 1, atol=1e-5)
    assert embedding.tolist() == array.tolist() == [row.tolist() for row in embedding]
    assert embedding["vectors"].shape == embedding.shape and embedding["pooled"].shape == (array.shape[1],)
    with pytest.raises(BufferError, match="read-only"):
        embedding.__dlpack__()
    del embedding
    gc.collect()
    np.testing.assert_array_equal(array, again)  # who shares it keeps it
    assert np.asarray(again, dtype=np.float64).dtype == np.float64


def test_an_embedding_travels_and_has_a_digest(encoder) -> None:
    embedding = encoder.encode("heat")
    copy = pickle.loads(pickle.dumps({"e": embedding}))["e"]
    np.testing.assert_array_equal(copy, np.asarray(embedding))
    np.testing.assert_array_equal(copy.pooled, np.asarray(embedding.pooled))
    assert _core.digest([copy]) == _core.digest([embedding]) != _core.digest([encoder.encode("flow")])


def test_nothing_is_loaded_before_the_first_call() -> None:
    missing = ht.ColBERTEncoder("/nowhere/model")
    for _ in range(2):
        with pytest.raises(ValueError, match="hound model get"):
            missing.encode("a")
    assert pickle.loads(pickle.dumps(ht.ColBERTEncoder(MODEL))).encode("a").shape[1] == 32


@pytest.mark.parametrize("text", [3, None, ["a"], {"title": "a"}, {"text": 3}, b"a"])
def test_what_is_no_text_is_refused(encoder, text) -> None:
    with pytest.raises(TypeError):
        encoder.encode(text)
    with pytest.raises(TypeError):
        encoder.encode_batch(["a", text])


def test_no_texts_give_no_vectors(encoder) -> None:
    assert encoder.encode_batch([]) == []
    assert encoder.encode_pooled([]).shape == (0, 32)


# ---- indexes ----


def brute_force(query: np.ndarray, passages: list[dict]) -> dict[str, float]:
    """MaxSim in float64 over the vectors as they are."""
    return {
        p["uuid"]: float((query.astype(float) @ np.asarray(p["embedding"], dtype=float).T).max(axis=1).sum())
        for p in passages
    }


def test_maxsim_is_that_of_numpy(encoder, passages, tmp_path) -> None:
    index = ht.PLAIDIndex(passages, tmp_path, "i")
    queries = [encoder.encode(t, is_query=True) for t in ("heat of a body", "shock", "wing theory speed")]
    for query, hits in zip(queries, index.search_batch(queries, 60), strict=False):
        exact = brute_force(np.asarray(query), passages)
        assert [h["score"] for h in hits] == sorted((h["score"] for h in hits), reverse=True)
        assert {h["id"] for h in hits} == set(exact)
        for hit in hits:  # int8 with a scale: half a step, 1/254, a coordinate
            assert abs(hit["score"] - exact[hit["passage_uuid"]]) < 0.02 * len(query)
        assert hits[:7] == index.search(query, 7)


def test_embeddings_may_be_arrays_or_lists(encoder, passages, tmp_path) -> None:
    query = encoder.encode("heat of a body", is_query=True)
    should = ht.PLAIDIndex(passages, tmp_path, "embeddings").search(query, 5)
    kinds = {
        "f32": np.asarray,
        "f64": lambda e: np.asarray(e, dtype=float),
        "lists": lambda e: e.tolist(),
        "columns": lambda e: np.asfortranarray(np.asarray(e)),
        "dicts": lambda e: {"vectors": np.asarray(e), "pooled": e.pooled.tolist()},
    }
    for name, kind in kinds.items():
        other = [{**p, "embedding": kind(p["embedding"])} for p in passages]
        index = ht.PLAIDIndex(other, tmp_path, name)
        assert index.search(query, 5) == index.search(kind(query), 5) == should
    with pytest.raises(NotImplementedError):
        ht.PLAIDIndex([{"uuid": "a", "embedding": np.ones((2, 4), np.float32)}]).search_pooled(
            {"vectors": np.ones((1, 4), np.float32), "pooled": np.ones(4, np.float32)}, 1
        )


def test_override(encoder, passages, tmp_path) -> None:
    query = encoder.encode("heat", is_query=True)
    first = ht.PLAIDIndex(passages, tmp_path, "i", override=False).search(query, 60)
    before = (tmp_path / "i.vectors").stat().st_mtime_ns
    assert ht.PLAIDIndex(passages, tmp_path, "i", override=True).search(query, 60) == first
    assert (tmp_path / "i.vectors").stat().st_mtime_ns == before  # of the same passages: opened as it is
    with pytest.raises(ValueError, match="override=true"):
        ht.PLAIDIndex(passages[:5], tmp_path, "i", override=False).search(query, 60)
    assert len(ht.PLAIDIndex(passages[:5], tmp_path, "i").search(query, 60)) == 5
    assert len(ht.PLAIDIndex(None, tmp_path, "i").search(query, 60)) == 5
    with pytest.raises(ValueError):
        ht.PLAIDIndex(None, tmp_path, "other").search(query, 1)


def test_what_is_no_index_is_refused(encoder, passages) -> None:
    vectors = np.ones((2, 32), np.float32)
    wrong = [
        ([passages[0], passages[0]], ValueError, "twice"),
        ([{"uuid": "a", "embedding": vectors}, {"uuid": "b", "embedding": vectors[:, :5]}], ValueError, "passage 1"),
        ([{"uuid": "a"}], ValueError, "embedding"),
        ([{"text": "a", "embedding": vectors}], ValueError, "uuid"),
        ([{"uuid": 3, "embedding": vectors}], TypeError, "uuid"),
        ([{"uuid": "a", "embedding": vectors.astype(int)}], ValueError, "float32"),
        ([{"uuid": "a", "embedding": np.ones((2, 2, 2), np.float32)}], ValueError, "n_tokens"),
        ([{"uuid": "a", "embedding": [[1.0, 2.0], [1.0]]}], ValueError, "numbers"),
        ([{"uuid": "a", "embedding": vectors * np.nan}], ValueError, "passage 0"),
        ([{"uuid": "a", "embedding": "x"}], TypeError, "embedding"),
        (["a"], TypeError, "dict"),
    ]
    for given, kind, message in wrong:
        with pytest.raises(kind, match=message):
            ht.PLAIDIndex(given).search(vectors, 1)
    index = ht.PLAIDIndex(passages)
    for query, k in ((vectors[:, :5], 1), (vectors, -1), (vectors, "1")):
        with pytest.raises(ValueError):
            index.search(query, k)
    assert index.search(vectors, 0) == [] and index.search_batch([], 3) == []
    assert ht.PLAIDIndex([]).search(vectors, 3) == []


def test_bm25(passages, collection) -> None:
    index = ht.BM25Index(ht.read_corpus(CACM / "corpus.jsonl"))
    assert ht.BM25IndexImpl is ht.BM25Index
    for query in ("operating systems", "time sharing", "sparse matrix multiplication"):
        said = subprocess.run(
            [HOUND, "search", collection, query, "--mode", "bm25", "-k", "20", "--json"],
            capture_output=True,
            check=True,
        )
        should = [(h["id"], h["score"]) for h in json.loads(said.stdout)["hits"]]
        assert [(h["id"], h["score"]) for h in index.search(query, 20)] == should
        assert index.search_batch([query, {"text": query}], 20) == [index.search(query, 20)] * 2
    assert index.search("zzzz", 5) == index.search("", 5) == []
    for wrong in ([{"uuid": "a"}], [{"text": "a"}], ["a"], "/nowhere/corpus.jsonl"):
        with pytest.raises((ValueError, TypeError)):
            ht.BM25Index(wrong).search("a", 1)
    with pytest.raises((ValueError, TypeError)):
        index.search(3, 1)


# ---- reranking and fusion ----


@pytest.mark.parametrize("shape", ["encoded", "embeddings", "list", "index"])
def test_reranking_is_maxsim_of_the_first_k(encoder, passages, shape) -> None:
    lookups = {
        "encoded": {p["uuid"]: p for p in passages},
        "embeddings": {p["uuid"]: p["embedding"] for p in passages},
        "list": passages,
        "index": ht.PLAIDIndex(passages),
    }
    reranker = ht.ColBERTReranker(encoder, lookups[shape])
    candidates = [{"passage_uuid": "p9", "score": 3}, {"id": "p4", "score": 0.5}, "p30", {"id": "p31"}]
    hits = reranker.rerank({"text": "heat of a body"}, candidates, 3)
    exact = brute_force(np.asarray(encoder.encode("heat of a body", is_query=True)), passages)
    assert [h["id"] for h in hits] == sorted(("p9", "p4", "p30"), key=lambda i: -exact[i])
    queries = ["heat of a body", "shock"]
    assert reranker.rerank_batch(queries, [candidates, ["p1"]], 3) == [hits, reranker.rerank("shock", ["p1"], 3)]
    assert reranker.rerank("heat", [], 3) == []
    with pytest.raises(ValueError, match="no passage 'p99'"):
        reranker.rerank("heat", ["p1", "p99"], 3)
    with pytest.raises(ValueError, match="passage_uuid"):
        reranker.rerank("heat", [{"score": 1}], 3)


def test_reciprocal_ranks_add_up() -> None:
    lists = [[{"id": i, "score": s} for s, i in enumerate("abcd")], [{"passage_uuid": i, "score": 0.5} for i in "ca"]]
    score = {i: sum(1 / (60 + hits.index(i) + 1) for hits in ("abcd", "ca") if i in hits) for i in "abcd"}
    hits = ht.RRFFusion().fuse(lists)
    assert [h["id"] for h in hits] == sorted("abcd", key=lambda i: -score[i])
    assert [h["score"] for h in hits] == pytest.approx([score[h["id"]] for h in hits], abs=1e-11)
    assert ht.RRFFusion(k=500).fuse([["x"], ["x"]])[0]["score"] == pytest.approx(2 / 501, abs=1e-11)
    assert ht.RRFFusion().fuse_batch([lists, [[]]]) == [hits, []]
    assert ht.RRFFusion().fuse([[], []]) == []
    for wrong in (3, "ab", [], [[{"score": 1}]], [["a", "a"]], [[{"id": "a", "score": "x"}]]):
        with pytest.raises((ValueError, TypeError)):
            ht.RRFFusion().fuse(wrong)


def test_min_max_scales_each_list() -> None:
    hits = ht.MinMaxFusion().fuse([[{"id": "a", "score": 3}, {"id": "b", "score": 1}], [{"id": "b", "score": 0.2}]])
    assert [(h["id"], h["score"]) for h in hits] == [("a", 0.5), ("b", 0.5)]


# ---- measures ----


def ndcg(ranking: list[str], grades: dict[str, int], k: int) -> float:
    """Gains equal to grades, discount log2(rank + 1)."""
    gain = lambda gs: sum(g / np.log2(i + 2) for i, g in enumerate(gs[:k]))  # noqa: E731
    best = gain(sorted((g for g in grades.values() if g > 0), reverse=True))
    return gain([max(grades.get(d, 0), 0) for d in ranking]) / best if best else 0.0


def test_measures_are_those_of_a_program_by_hand() -> None:
    rng = np.random.default_rng(3)
    run, qrels = [], []
    for q in range(20):
        for d in rng.permutation(40)[:25]:
            run.append({"query_uuid": f"q{q}", "paragraph_uuid": f"d{d:02}", "score": float(rng.normal())})
        for d in rng.permutation(40)[:12]:
            grade = int(rng.integers(0, 4))
            qrels.append({"query_uuid": f"q{q}", "paragraph_uuid": f"d{d:02}", "label_score": grade})
    means = {"ndcg": [], "recall": [], "success": []}
    for q in {r["query_uuid"] for r in run}:
        rows = sorted((r for r in run if r["query_uuid"] == q), key=lambda r: -r["score"])
        ranking = [r["paragraph_uuid"] for r in rows]
        grades = {j["paragraph_uuid"]: j["label_score"] for j in qrels if j["query_uuid"] == q}
        relevant = {d for d, g in grades.items() if g > 0}
        means["ndcg"].append(ndcg(ranking, grades, 10))
        means["recall"].append(len(relevant & set(ranking[:5])) / len(relevant))
        means["success"].append(bool(relevant & set(ranking[:5])))
    mean = {name: pytest.approx(np.mean(values), abs=1e-12) for name, values in means.items()}
    assert ht.NDCGEvaluator(10).compute(run, qrels) == mean["ndcg"]
    assert ht.RecallEvaluator([5, 30]).compute(run, qrels)["recall@5"] == mean["recall"]
    assert ht.SuccessEvaluator([5]).compute(run, qrels) == {"success@5": mean["success"]}
    nested = {q: {r["paragraph_uuid"]: r["score"] for r in run if r["query_uuid"] == q} for q in ("q1", "q2")}
    each = ht.evaluate(nested, qrels, ["ndcg@10", "map"], per_query=True)
    assert set(each) == {"q1", "q2"}
    assert ht.evaluate(nested, qrels, "ndcg@10")["ndcg@10"] == pytest.approx(
        np.mean([v["ndcg@10"] for v in each.values()])
    )


def test_judging_files_gives_what_hound_says(collection, tmp_path) -> None:
    run, qrels = tmp_path / "bm25.run", CACM / "qrels/test.tsv"
    search = [HOUND, "search", collection, "--queries", CACM / "queries.jsonl", "--run", run, "--mode", "bm25", "-q"]
    subprocess.run(search, check=True)
    mine = ht.evaluate(run, qrels, ["ndcg@10", "recall@100", "map"])
    assert mine == ht.evaluate(run, ht.read_qrels(qrels), ["ndcg@10", "recall@100", "map"])
    judge = [HOUND, "evaluate", "--qrels", qrels, "--run", run, "--metrics", "ndcg@10,recall@100,map", "--json"]
    said = json.loads(subprocess.run(judge, capture_output=True, check=True).stdout)
    assert mine == pytest.approx(said["all"], abs=1e-12)


@pytest.mark.parametrize(
    ("run", "qrels"),
    [
        ([{"query_uuid": "q"}], []),
        ([{"query_uuid": "q", "paragraph_uuid": "d", "score": float("nan")}], []),
        ([{"query_uuid": "q", "paragraph_uuid": "d"}], []),
        ([{"query_uuid": "q", "paragraph_uuid": "d", "score": 1}] * 2, []),
        ([], [{"query_uuid": "q", "paragraph_uuid": "d", "label_score": 0.5}]),
        ([], "/nowhere/qrels.tsv"),
        ({"q": ["d"]}, []),
        (["q"], []),
        (3, []),
    ],
)
def test_what_cannot_be_judged_is_refused(run, qrels) -> None:
    with pytest.raises((ValueError, TypeError)):
        ht.evaluate(run, qrels)
    with pytest.raises(ValueError):
        ht.evaluate([], [], "best@10")


# ---- collections and files ----


@pytest.mark.parametrize("mode", ["bm25", "dense", "maxsim", "rrf", "hybrid", "rerank"])
def test_a_collection_answers_as_hound_does(collection, mode) -> None:
    c = ht.Collection(collection)
    said = subprocess.run([HOUND, "search", collection, "time sharing", "--mode", mode, "--json"], capture_output=True)
    should = [(h["id"], pytest.approx(h["score"], rel=1e-6)) for h in json.loads(said.stdout)["hits"]]
    hits = c.search("time sharing", 10, mode)
    assert [(h["id"], h["score"]) for h in hits] == should
    assert c.search_batch(["time sharing", "sparse matrix"], 10, mode) == [hits, c.search("sparse matrix", 10, mode)]


def test_a_collection_explains_and_tells_what_it_is(collection) -> None:
    c = ht.Collection(str(collection))
    hit = c.explain("time sharing", 1)[0]
    assert sum(p["contribution"] for p in hit["parts"]) == hit["bm25"]
    assert sum(m["score"] for m in hit["matches"]) == pytest.approx(hit["maxsim"], rel=1e-5)
    assert "time" in c.search("time sharing", 1, fields=True)[0]["text"].lower()
    assert (c.info()["n_docs"], c.info()["has_vectors"]) == (3204, True)
    for wrong in ({"mode": "best"}, {"k": 0}):
        with pytest.raises(ValueError):
            c.search("a", **wrong)
    with pytest.raises((ValueError, OSError)):
        ht.Collection("/nowhere/c.ht").info()


def test_corpora(peer, tmp_path) -> None:
    pa, parquet = peer("pyarrow"), peer("pyarrow.parquet")
    passages = ht.read_corpus(CACM / "corpus.jsonl")
    assert len(passages) == 3204 and set(passages[0]) == {"uuid", "text", "title"}
    columns = {"uuid": [p["uuid"] for p in passages], "passage": [p["text"] for p in passages]}
    parquet.write_table(pa.table(columns), tmp_path / "c.parquet")
    assert [p["text"] for p in ht.read_corpus(tmp_path / "c.parquet")] == columns["passage"]
    parquet.write_table(pa.table({"a": [1]}), tmp_path / "wrong.parquet")
    with pytest.raises(ValueError, match="no column uuid"):
        ht.read_corpus(tmp_path / "wrong.parquet")
    (tmp_path / "wrong.jsonl").write_text('{"_id": "a", "text": "b"}\n{"_id": \n')
    with pytest.raises(ValueError, match="wrong.jsonl:2"):
        ht.read_corpus(tmp_path / "wrong.jsonl")
    assert len(ht.read_queries(CACM / "queries.jsonl")) == 64


# ---- other libraries' calls ----


def test_the_calls_of_other_libraries(encoder, passages, tmp_path) -> None:
    from houndstooth.compat.colbert import Checkpoint
    from houndstooth.compat.plaid import build_index
    from houndstooth.compat.sentence_transformers import SentenceTransformer

    model = Checkpoint(MODEL, True)
    query = model.encode("heat", is_query=True)
    np.testing.assert_array_equal(query, np.asarray(encoder.encode("heat", is_query=True)))
    assert len(model.encode_batch(["heat", "flow"], is_query=False)) == 2
    assert build_index(passages, tmp_path, "i", True).search(query, 3) == ht.PLAIDIndex(passages).search(query, 3)
    sentences = SentenceTransformer(MODEL)
    assert sentences.encode("heat").tolist() == np.asarray(encoder.encode("heat").pooled).tolist()
    embeddings = sentences.encode(["heat", "flow"])
    assert [e.tolist() for e in embeddings][0] == sentences.encode("heat").tolist()


def test_nothing_leaks(encoder, passages, tmp_path) -> None:
    def work() -> None:
        encoder.encode_batch(["heat transfer " * 40] * 64)[0].tolist()
        index = ht.PLAIDIndex(passages)
        index.search_batch([p["embedding"] for p in passages], 60)
        np.from_dlpack(encoder.encode("a"))
        encoder.encode("b").__dlpack__(copy=True)
        for wrong in ("x", [[1.0], []], {}):
            with pytest.raises((ValueError, TypeError)):
                index.search(wrong, 1)

    for _ in range(20):
        work()
    gc.collect()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(100):
        work()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 4000  # KB; a batch's vectors are 1,500


@pytest.mark.parametrize(
    "make",
    [
        lambda ids: ht.BM25Index([{"uuid": i, "text": "a wing"} for i in ids]).search("wing"),
        lambda ids: ht.PLAIDIndex([{"uuid": i, "embedding": [[1.0, 0.0]]} for i in ids]).search([[1.0, 0.0]]),
    ],
)
def test_an_id_that_stands_twice_is_refused(make) -> None:
    with pytest.raises(ValueError, match="the passage 'a' stands twice"):
        make(["a", "b", "a"])
    assert [hit["id"] for hit in make(["a", "b"])] == ["a", "b"]
