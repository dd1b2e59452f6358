"""A small web application whose tasks report their progress: the example, and the demo."""
