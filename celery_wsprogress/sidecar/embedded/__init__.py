"""A sidecar inside the process of a web application, in a thread of its own."""
