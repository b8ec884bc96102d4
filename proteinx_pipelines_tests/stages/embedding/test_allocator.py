"""Memory that batches free is kept while a library is embedded, and given back behind it."""

import ctypes
import resource
import sys
from pathlib import Path

import pytest

from proteinx_pipelines.stages.embedding import allocator
from proteinx_pipelines.stages.embedding.allocator import freed_memory_kept

BLOCK = 16 << 20
PAGES = BLOCK // resource.getpagesize()
glibc = pytest.mark.skipif(allocator._glibc() is None, reason="the C library is not glibc")


def page_faults_of_a_block() -> int:
    """What it costs to allocate, fill and free a block that glibc would map afresh."""
    library = ctypes.CDLL(None)
    library.malloc.restype = ctypes.c_void_p
    library.free.argtypes = [ctypes.c_void_p]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = library.malloc(ctypes.c_size_t(BLOCK))
    ctypes.memset(block, 1, BLOCK)
    library.free(block)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@glibc
def test_a_block_of_the_last_batch_is_there_for_the_next() -> None:
    with freed_memory_kept():
        page_faults_of_a_block()
        assert page_faults_of_a_block() < PAGES / 10


@glibc
def test_afterwards_it_is_given_back() -> None:
    with freed_memory_kept():
        page_faults_of_a_block()
        kept = resident_bytes()
    assert kept - resident_bytes() > 0.9 * BLOCK


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()


def test_without_glibc_nothing_is_asked_of_the_c_library(monkeypatch: pytest.MonkeyPatch) -> None:
    allocator._glibc.cache_clear()
    monkeypatch.setattr(sys, "platform", "darwin")
    with freed_memory_kept():
        assert allocator._glibc() is None
    monkeypatch.undo()
    allocator._glibc.cache_clear()
