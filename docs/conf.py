"""Sphinx configuration. `make docs` builds it with warnings as errors."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import asyncapi_document  # noqa: E402 - beside this file
from generate import cli_reference, metrics_table, settings_tables, states_table  # noqa: E402 - beside this file

from celery_wsprogress.version import __version__  # noqa: E402

project = "celery-wsprogress"
author = "The celery-wsprogress authors"
release = version = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
autodoc_member_order = "bysource"
# Roles in docstrings also lead to what has no page: private modules and other projects.
nitpick_ignore_regex = [("py:.*", ".*")]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "_generated"]
html_theme = "furo"
html_title = "celery-wsprogress"

_generated = HERE / "_generated"
_generated.mkdir(exist_ok=True)
(_generated / "states.md").write_text(states_table())
(_generated / "settings.md").write_text(settings_tables())
(_generated / "cli.md").write_text(cli_reference())
(_generated / "metrics.md").write_text(metrics_table())
(_generated / "asyncapi.json").write_text(asyncapi_document.text())
