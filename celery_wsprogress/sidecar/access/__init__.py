"""Who may do what at the sidecar: keys, revocations, and the permit of each request."""
