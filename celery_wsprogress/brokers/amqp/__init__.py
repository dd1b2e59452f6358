"""The log on AMQP brokers."""
