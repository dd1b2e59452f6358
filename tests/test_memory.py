"""Values are copied in a process that may not grow, as that of a worker in a container."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_values_that_are_larger_than_they_look_need_little_memory():
    program = textwrap.dedent(
        """
        import resource, sys
        sys.path[:0] = [".", "tests"]
        from support.large_values import WAYS, Endless, shared
        values = [shared(22), shared(30), ValueError(shared(30)), Endless()]
        now = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + 100_000_000,) * 2)
        for value in values:
            for way in WAYS:
                way(value)
        print("done")
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "done\n", done.stderr[-2000:]
