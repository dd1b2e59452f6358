"""Cancel, in the worker: what a running task is told, and how it stops itself."""
