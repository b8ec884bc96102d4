"""An iterator whose next item is made while the last one is used."""

import threading

import pytest

from proteinx_pipelines.catalog.ahead import one_ahead


def test_items_keep_their_order_and_come_from_another_thread():
    made_in = set()

    def items():
        for n in range(20):
            made_in.add(threading.get_ident())
            yield n

    assert list(one_ahead(items())) == list(range(20))
    assert len(made_in) == 1
    assert threading.get_ident() not in made_in


def test_the_next_item_is_made_while_this_one_is_used():
    second = threading.Event()

    def items():
        yield 1
        second.set()
        yield 2

    ahead = one_ahead(items())
    assert next(ahead) == 1
    assert second.wait(timeout=10)
    assert list(ahead) == [2]


def test_no_more_than_one_item_is_made_ahead():
    made = []

    def items():
        for n in range(10):
            made.append(n)
            yield n

    ahead = one_ahead(items())
    next(ahead)
    ahead.close()
    assert made in ([0], [0, 1])


def test_an_exception_arrives_after_the_items_before_it():
    def items():
        yield 1
        raise ValueError("broken")

    ahead = one_ahead(items())
    assert next(ahead) == 1
    with pytest.raises(ValueError, match="broken"):
        next(ahead)
