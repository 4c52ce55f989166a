"""Stacks of bodies that wait: kept for the next run of a thread, gone with the thread."""

from __future__ import annotations

import gc
import threading

import greenlet
import houndstooth as ht


@ht.cls
class Doubler:
    def double(self, x):
        return 2 * x

    @ht.method.batch
    def double_batch(self, xs):
        return [2 * x for x in xs]


@ht.node(output_name="y")
def doubled(x, doubler):
    return doubler.double(x)


def stacks() -> int:
    gc.collect()
    return sum(type(o) is greenlet.greenlet for o in gc.get_objects())


def run(engine: ht.engines.Engine | None = None) -> None:
    made = ht.Pipeline([doubled]).map({"x": range(200), "doubler": Doubler()}, "x", engine=engine)
    assert [m["y"] for m in made] == [2 * x for x in range(200)]


def test_they_are_used_again() -> None:
    run()
    before = stacks()
    assert before >= 200
    run()
    assert stacks() == before


def test_they_go_with_a_thread_of_python() -> None:
    before = stacks()
    for _ in range(3):
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    assert stacks() <= before + 3  # a thread's own greenlet may go later


def test_they_go_with_a_stream_that_is_closed_early() -> None:
    before = stacks()
    results = ht.Pipeline([doubled]).stream({"x": range(5000), "doubler": Doubler()}, "x")
    next(results)
    results.close()
    assert stacks() <= before + 1


def test_they_go_with_the_threads_of_an_engine() -> None:
    run()
    before = stacks()
    engine = ht.ThreadEngine(3)
    run(engine)
    del engine
    assert stacks() <= before + 200  # of this thread, which worked too


@ht.node(output_name="y")
def doubled_after_an_exception(x, doubler):
    try:
        raise ValueError(x)
    except ValueError:
        return doubler.double(x)


def test_they_go_with_the_state_of_a_thread_that_others_started(peer) -> None:
    """Threads of Daft have a new state of the interpreter each time that they come back to Python."""
    peer("daft")
    before = stacks()
    engine = ht.DaftEngine(num_workers=2)
    for _ in range(8):
        made = ht.Pipeline([doubled_after_an_exception]).map({"x": range(64), "doubler": Doubler()}, "x", engine=engine)
        assert [m["y"] for m in made] == [2 * x for x in range(64)]
    assert stacks() <= before + 16  # the threads' own
