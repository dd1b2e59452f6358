"""How the demo starts what it needs, and ends it again."""
