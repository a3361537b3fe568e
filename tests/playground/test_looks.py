"""What is kept, and what runs when."""

import threading
import time

import pytest
import torch

from playattention.errors import UserError
from playattention.playground.alone import Alone
from playattention.playground.looks import MOST_LOOKS, Looks
from playattention.playground.opened import Shelf


@pytest.fixture
def looks(home, own_folder, monkeypatch):
    """Look in the folder of the two runs."""
    monkeypatch.chdir(home)
    found = Looks(Shelf())
    yield found
    found.end()


def test_a_look_is_kept(looks):
    one = looks.look("small-gpt", None, "Anna")
    assert looks.look("small-gpt", 4, "Anna") is one
    assert looks.look("small-gpt", 4, "Anna", "  no-mask ") is looks.look(
        "small-gpt", 4, "Anna", "no-mask"
    )
    assert one.trace is one.trace
    assert looks.look("small-gpt", 2, "Anna") is not one


def test_looks_of_a_run_share_its_model(looks):
    assert (
        looks.look("small-gpt", None, "Anna").opened is looks.look("small-gpt", None, "Bert").opened
    )


def test_the_oldest_looks_are_forgotten_where_they_are_too_many(looks):
    first, second = (looks.look("small-gpt", None, text) for text in ("A", "B"))
    assert first.trace
    for number in range(MOST_LOOKS):
        looks.look("small-gpt", None, "A" * (number % 15 + 1), f"scale:{number + 2}")
        looks.look("small-gpt", None, "A")  # asked for again and again
    assert second.trace
    assert looks.look("small-gpt", None, "A") is first
    assert looks.look("small-gpt", None, "B", "scale:2") is not None
    for number in range(MOST_LOOKS):
        looks.look("small-gpt", None, "Bert", f"scale:{number + 2}").has("trace")
    looks.trim()
    assert looks.look("small-gpt", None, "A") is not first


def test_what_is_kept_stays_within_the_limit(home, own_folder, monkeypatch):
    monkeypatch.chdir(home)
    few = Looks(Shelf(), limit=100_000)
    one = few.look("small-gpt", None, "Anna:\nThe lamp")
    assert one.trace.nbytes > 30_000
    assert one.nbytes == one.trace.nbytes
    assert one.backward
    assert one.nbytes > 2 * one.trace.nbytes
    for number in range(2, 7):
        other = few.look("small-gpt", None, "Anna:\nThe lamp", f"scale:{number}")
        assert other.trace
        assert few.look("small-gpt", None, "Anna:\nThe lamp", f"scale:{number}") is other
    assert sum(look.nbytes for look in few._looks.values()) <= 100_000
    assert few.look("small-gpt", None, "Anna:\nThe lamp") is not one
    few.end()


def test_a_look_at_once_from_many_threads_is_computed_once(looks, monkeypatch):
    from playattention.playground import looks as module

    watched = []
    real = module.watch

    def counted(*arguments):
        watched.append(threading.current_thread().name)
        return real(*arguments)

    monkeypatch.setattr(module, "watch", counted)
    found = []

    def ask() -> None:
        found.append(looks.look("small-gpt", None, "Anna:").trace)

    asking = [threading.Thread(target=ask) for _ in range(8)]
    for one in asking:
        one.start()
    for one in asking:
        one.join(30)
    assert len(found) == 8
    assert {id(trace) for trace in found} == {id(found[0])}
    assert watched == ["models"]


def test_what_failed_is_tried_again(looks):
    """A change that the model has no part for leaves the model, and nothing is kept."""
    look = looks.look("small-gpt", None, "Anna", "ablate:0.0 ablate:5.0")
    for _ in range(2):
        with pytest.raises(UserError, match="layer = 5"):
            assert look.trace
    plain = looks.look("small-gpt", None, "Anna").trace
    own = looks.open("small-gpt").model
    with torch.no_grad():
        expected = own(plain.idx)[0]
    assert torch.allclose(plain.one("", "logits").tensor, expected, atol=1e-6)


def test_one_thing_is_done_at_a_time():
    alone, at_work, most = Alone(), [], []

    def work() -> None:
        at_work.append(1)
        most.append(len(at_work))
        time.sleep(0.01)
        at_work.pop()

    asking = [threading.Thread(target=alone.do, args=(work,)) for _ in range(10)]
    for one in asking:
        one.start()
    for one in asking:
        one.join(10)
    alone.end()
    assert most == [1] * 10


def test_what_is_raised_is_raised_where_it_was_asked():
    alone = Alone()
    with pytest.raises(UserError, match="a word"):
        alone.do(lambda: (_ for _ in ()).throw(UserError("a word")))
    assert alone.do(lambda: 3) == 3
    alone.end()


def test_others_get_their_turn_in_the_middle_of_something_long():
    alone, order = Alone(), []
    waiting = threading.Event()

    def long() -> None:
        order.append("long begins")
        waiting.wait(10)
        alone.let_others()
        order.append("long ends")

    first = threading.Thread(target=alone.do, args=(long,))
    first.start()
    while not order:
        time.sleep(0.001)
    second = threading.Thread(target=alone.do, args=(lambda: order.append("short"),))
    second.start()
    while alone._waiting.empty():
        time.sleep(0.001)
    waiting.set()
    first.join(10)
    second.join(10)
    assert order == ["long begins", "short", "long ends"]
    assert alone.do(lambda: alone.do(lambda: "within itself")) == "within itself"
    alone.end()
    alone._thread.join(10)
    assert not alone._thread.is_alive()


def test_the_end_is_heard_in_the_middle_of_something_long():
    alone = Alone()

    def long() -> str:
        alone.end()
        alone.let_others()
        return "done"

    assert alone.do(long) == "done"
    alone._thread.join(10)
    assert not alone._thread.is_alive()
