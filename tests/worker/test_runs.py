from __future__ import annotations

import multiprocessing

from celery_wsprogress.worker.runs import mint


def _minted(_):
    return [mint() for _ in range(3)]


def test_a_forked_process_makes_ids_of_its_own():
    """All of them begin as copies of one."""
    with multiprocessing.get_context("fork").Pool(3) as pool:
        found = pool.map(_minted, range(3), chunksize=1)
    ids = [one for some in [*found, _minted(0)] for one in some]
    assert len(set(ids)) == len(ids)
    assert {len(one) for one in ids} == {8}
