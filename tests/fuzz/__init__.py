"""A fuzzer: seeded inputs of several kinds for everything that reads what strangers send."""
