"""Bars of other libraries, and ``update_state()``, as progress of the task that runs."""
