"""The short form of ``make fuzz``, and that it finds what it looks for."""

from __future__ import annotations

import time

from click.testing import CliRunner

from fuzz import campaign as campaigns
from fuzz.__main__ import main
from fuzz.campaign import ROUND, Campaign
from fuzz.kinds import KINDS, Commands, Sessions

SEED = 16


def test_nothing_that_strangers_send_is_too_much():
    campaign = Campaign(SEED)
    campaign.run(len(KINDS) * ROUND)
    assert [fault._replace(drawn=fault.drawn[:2_000]) for fault in campaign.faults] == []
    assert {name: len(costs.seconds) for name, costs in campaign.costs.items()} == dict.fromkeys(
        KINDS, ROUND
    )


def test_many_inputs_get_past_the_first_check():
    taken, client = 0, campaigns.Random(SEED)
    commands, sessions = Commands(), Sessions()
    for _ in range(300):
        taken += commands.run(commands.draw(client))
        sessions.run(sessions.draw(client))
    assert taken > 100


class Planted:
    """Inputs that are numbers; one of them is too much."""

    def __init__(self, harm=lambda: None):
        self._harm = harm

    def draw(self, rng):
        return rng.randrange(1_000_000)

    def run(self, drawn):
        if drawn % 300 == 7:
            self._harm()


def planted(harm, rounds=1):
    campaign = Campaign(SEED, {"planted": lambda: Planted(harm)})
    campaign.run(rounds * ROUND)
    return campaign.faults


def test_an_exception_is_found_with_the_input_that_raised_it():
    def fail():
        raise ValueError("planted")

    [fault] = planted(fail)
    assert fault.what.endswith("ValueError: planted")
    assert int(fault.drawn) % 300 == 7
    again = campaigns.Random(f"{SEED}/planted/{fault.round}/{fault.index}")
    assert again.randrange(1_000_000) == int(fault.drawn)


def test_a_hang_is_found():
    def burn():
        end = time.thread_time() + 0.15
        while time.thread_time() < end:
            pass

    faults = planted(burn, rounds=3)
    assert {fault.what.partition(" ")[0] for fault in faults} == {"takes"}


def test_growth_is_found():
    kept = []

    def keep():
        kept.extend([one] for one in range(1_000))

    [fault] = planted(keep, rounds=12)
    assert "objects" in fault.what


def test_no_growth_is_found_where_nothing_grows():
    assert planted(lambda: None, rounds=campaigns.WARM_UP + 2) == []


def test_the_command_prints_the_seed_and_the_figures():
    result = CliRunner().invoke(main, ["--inputs", "500", "--kind", "tokens", "--seed", "3"])
    assert result.exit_code == 0, result.output
    assert result.output.startswith("seed 3\n500 inputs in ")
