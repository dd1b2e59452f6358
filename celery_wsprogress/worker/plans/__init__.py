"""The plans of workflows: the tasks of a canvas, published by the process that sends it."""
