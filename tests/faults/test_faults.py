"""Whatever dies on the way: every client learns how every operation ended, and learns it once.

One installation a broker, to which one thing after the other happens while operations run; after
each the oracle holds what the tasks said, what the log accepted and what each client was shown
against each other.
"""

from __future__ import annotations

import random

import pytest
from harm import FAULTS, HALF_OPEN_EVERYWHERE
from installation import Installation
from servers import RedisServer

#: Enough that all processes are busy for a second or two.
OPERATIONS = 20
ENDS = ("result", "failure", "retry", "result")

SHORT = [fault for fault in FAULTS if not fault.name.startswith("half-open")]


@pytest.fixture(scope="module")
def system(redis_server):
    redis_server.clear()
    with RedisServer(persistent=True) as broker, Installation(broker, redis_server.url) as made:
        for number in range(4):
            made.join(f"client {number}", sidecar=number % 2)
        yield made


def go_through(system, fault, chance):
    """Let something happen in the middle of operations of all kinds."""
    ids = system.plan(OPERATIONS)
    system.audience.watch(ids)
    for number, one in enumerate(ids):
        task = ("once", "again")[number % 2]
        system.send([one], task, lines=8, pause=0.03, end=ENDS[number % 4])
        if number == OPERATIONS // 2:
            fault.do(system, chance)
    return system.come_to_rest(ids)


@pytest.mark.parametrize("fault", [*SHORT, HALF_OPEN_EVERYWHERE], ids=str)
def test_nothing_is_lost_and_nothing_comes_twice(system, fault):
    system.wait_until_whole()
    findings = go_through(system, fault, random.Random(fault.name))
    assert not findings.violations, findings
    assert findings.counts["accepted"] > 0
    assert findings.counts["deliveries"] > findings.counts["accepted"]
    assert findings.counts["died with the log"] == 0
