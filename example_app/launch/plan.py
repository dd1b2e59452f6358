"""What the demo is about to start, and where: one value, known before anything runs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from celery_wsprogress.urls import masked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from example_app.launch.broker import Broker

ROOT = Path(__file__).parents[2]


class Plan(NamedTuple):
    """The broker, the folder for everything temporary, and the ports."""

    broker: Broker
    folder: Path
    web: int
    sidecar: int
    flower: int | None

    def addresses(self) -> dict[str, str]:
        """Return the addresses by name."""
        found = {
            "page": f"http://localhost:{self.web}",
            "dashboard": f"http://localhost:{self.sidecar}/",
            "sidecar": f"ws://localhost:{self.sidecar}",
            "status": f"http://localhost:{self.sidecar}/status",
            "broker": masked(self.broker.url),
            "logs": str(self.folder),
        }
        if self.flower is not None:
            found["flower"] = f"http://localhost:{self.flower}"
        return found

    def environ(self, outer: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of the demo's processes."""
        where = self.addresses()
        # Settings of somebody's real sidecar (a key, say) are not meant for the demo's.
        kept = {name: value for name, value in outer.items() if not _is_setting(name)}
        path = os.pathsep.join(filter(None, [str(ROOT), outer.get("PYTHONPATH")]))
        return kept | {
            "CELERY_BROKER_URL": self.broker.url,
            "CELERY_RESULT_BACKEND": self.broker.results,
            "EXAMPLE_DASHBOARD_URL": where["dashboard"],
            "EXAMPLE_FLOWER_URL": where.get("flower", ""),
            "EXAMPLE_PICTURES": str(self.folder / "pictures"),
            "EXAMPLE_SIDECAR_URL": where["sidecar"],
            "FLOWER_UNAUTHENTICATED_API": "true",
            "PYTHONPATH": path,
            "PYTHONUNBUFFERED": "1",
            # What a process that is ended early leaves behind goes with the folder.
            "TMPDIR": str(self.folder),
            # The pages have a button for it, and only this machine connects.
            "WSPROGRESS_ALLOW_CANCEL": "true",
            # Flower shows the progress, too.
            "WSPROGRESS_FLOWER": "true",
        }

    def announce(self, ready_file: Path | None) -> None:
        """Print where everything is, and write it to a file for programs."""
        where = self.addresses()
        rows = [
            ("Page", where["page"]),
            ("Dashboard", where["dashboard"]),
            ("Sidecar", f"{where['sidecar']}   (curl {where['status']})"),
            ("Flower", where.get("flower", "none in this mode")),
            ("Broker", f"{where['broker']}   ({self.broker.says})"),
            ("Logs", where["logs"]),
        ]
        block = "\n".join(f"  {name:<11}{place}" for name, place in rows)
        print(f"\nThe demo is ready.\n\n{block}\n\nCtrl-C ends everything.", flush=True)
        if ready_file is not None:
            unfinished = ready_file.with_suffix(".part")
            unfinished.write_text(json.dumps(where | {"pid": os.getpid()}))
            unfinished.replace(ready_file)


def _is_setting(name: str) -> bool:
    return name.startswith("WSPROGRESS_") or name in {"WEBSOCKET_PORT", "ENABLE_WEBSOCKET"}
