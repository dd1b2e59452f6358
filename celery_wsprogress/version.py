"""The version of the package, in a module of its own.

``pyproject.toml`` reads it from here, and so do the modules that report it: nobody has to import
the package itself, which refers to nearly all of its modules.
"""

__version__ = "0.1.0"
