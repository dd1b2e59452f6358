"""The version of the package, for ``pyproject.toml`` and for the modules that report it."""

__version__ = "0.1.0"
