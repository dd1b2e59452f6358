"""One round of the short form: operations of all kinds, and what happens in the middle of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random

    from faults import Fault
    from oracle import Findings
    from system import System

#: Enough that all processes are busy for a second or two.
OPERATIONS: Final = 12
ENDS: Final = ("result", "failure", "retry", "result")


def go_through(system: System, fault: Fault, chance: random.Random) -> Findings:
    """Let something happen in the middle of operations of all kinds; the accounts of it."""
    system.wait_until_whole()
    before = len(system.sent_at)
    ids = system.plan(OPERATIONS)
    system.audience.watch(ids)
    for number, one in enumerate(ids):
        system.send([one], ("once", "again")[number % 2], lines=8, pause=0.03, end=ENDS[number % 4])
        if number == OPERATIONS // 2:
            fault.do(system, chance)
    return system.come_to_rest(list(system.sent_at)[before:])


def check_nothing_is_lost(findings: Findings) -> None:
    """All that was accepted was shown to everyone, once and in its order, and so were the ends."""
    assert not findings.violations, findings
    assert findings.counts["accepted"] > 0
    assert findings.counts["deliveries"] > 0
    assert findings.counts["died with the log"] == 0
    assert findings.counts["not in time"] == 0


def has_started(system: System, operation_id: str) -> bool:
    """Whether the log has taken its start, and its first line."""
    return any(event.kind == "log" for event in list(system.tail.log.events[operation_id]))
