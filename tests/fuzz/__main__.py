"""The long form: ``make fuzz``, with ``FUZZ_OPTIONS``.

It prints what it ran and what that cost, and for each fault the input, and the options that run
its round again. It exits with 1 when there was one.
"""

from __future__ import annotations

import sys
import time

import click

from fuzz.campaign import ROUND, Campaign, Fault
from fuzz.kinds import KINDS

MAX_SHOWN = 2_000
"""Characters of an input that are printed."""


@click.command()
@click.option("--inputs", default=100_000, show_default=True, help="Inputs of all kinds together.")
@click.option("--kind", "kinds", type=click.Choice([*KINDS]), multiple=True, help="Only this kind.")
@click.option("--first", default=0, show_default=True, help="Number of the first round.")
@click.option("--seed", default=None, type=int, help="Decides what the inputs are; else random.")
def main(inputs: int, kinds: tuple[str, ...], first: int, seed: int | None) -> None:
    """Send everything that reads what strangers send inputs that are wrong, or nearly right."""
    chosen = time.time_ns() % 1_000_000 if seed is None else seed
    click.echo(f"seed {chosen}")
    campaign = Campaign(chosen, {name: KINDS[name] for name in kinds or KINDS})
    began = time.monotonic()
    campaign.run(inputs, first)
    show(campaign, time.monotonic() - began)
    for fault in campaign.faults:
        show_fault(campaign.seed, fault)
    sys.exit(bool(campaign.faults))


def show(campaign: Campaign, seconds: float) -> None:
    """Print the figures."""
    total = sum(len(costs.seconds) for costs in campaign.costs.values())
    click.echo(f"{total:,} inputs in {seconds:.0f} s, {len(campaign.faults)} faults")
    click.echo(f"{'kind':<10}{'inputs':>10}{'median':>12}{'p99':>12}{'slowest':>12}")
    for name, costs in campaign.costs.items():
        found = sorted(costs.seconds)
        if found:
            picked = found[len(found) // 2], found[len(found) * 99 // 100], found[-1]
            shown = "".join(f"{one * 1e6:>9,.0f} us" for one in picked)
            click.echo(f"{name:<10}{len(found):>10,}{shown}")
    if campaign.before and campaign.after:
        objects = campaign.after.objects - campaign.before.objects
        size = (campaign.after.bytes - campaign.before.bytes) / 1e6
        now = campaign.after.bytes / 1e6
        click.echo(
            f"growth after the first rounds: {objects:+,} objects, {size:+.1f} MB, to {now:.0f} MB"
        )


def show_fault(seed: int, fault: Fault) -> None:
    """Print what was found, and how to find it again."""
    where = f"--seed {seed} --kind {fault.kind} --first {fault.round} --inputs {ROUND}"
    click.echo(f"\n{fault.kind}, input {fault.index} of round {fault.round} ({where})", err=True)
    click.echo(fault.what, err=True)
    more = f"… ({len(fault.drawn):,} characters)" if len(fault.drawn) > MAX_SHOWN else ""
    click.echo(f"input: {fault.drawn[:MAX_SHOWN]}{more}", err=True)


if __name__ == "__main__":
    main()
