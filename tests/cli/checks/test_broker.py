"""What ``check`` says of a broker: each planted mistake is named, on Redis and on RabbitMQ."""

from __future__ import annotations

import pytest
import redis
from support.ports import free_port

from celery_wsprogress.brokers import BrokerAddress
from celery_wsprogress.cli.checks.broker import check_broker
from celery_wsprogress.cli.checks.findings import CheckVerdict

PASSWORD = "geheim-4711"


def failure(url, **fields):
    """The failure of a broker, as one text."""
    [found] = check_broker(BrokerAddress(url, **fields))
    assert found.verdict is CheckVerdict.FAILED, found
    assert found.advice
    return f"{found.text} [{found.advice}]"


def warning(url, **fields):
    """The warning of a broker, as one text."""
    [found] = check_broker(BrokerAddress(url, **fields))
    assert found.verdict is CheckVerdict.WARNING, found
    return f"{found.text} [{found.advice}]"


def test_all_is_well_and_nothing_is_left_for_a_reader(broker_url):
    [found] = check_broker(BrokerAddress(broker_url))
    assert found.verdict is CheckVerdict.OK
    assert "takes events, exchange celery_wsprogress" in found.text
    # A second time, with the log of the first.
    assert [one.verdict for one in check_broker(BrokerAddress(broker_url))] == [CheckVerdict.OK]


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_nothing_listens(scheme):
    said = failure(f"{scheme}://guest:{PASSWORD}@127.0.0.1:{free_port()}/0")
    assert f"nothing listens at {scheme}://" in said
    assert PASSWORD not in said


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_an_unknown_host(scheme):
    assert "is unknown" in failure(f"{scheme}://nowhere.invalid/0")


def test_the_port_of_another_program(rabbitmq_server):
    assert "is no Redis server" in failure(f"redis://127.0.0.1:{rabbitmq_server.port}/0")


def test_a_wrong_password(redis_url, rabbitmq_url):
    said = failure(redis_url.replace("redis://", f"redis://somebody:{PASSWORD}@"))
    said += failure(rabbitmq_url.replace("guest:guest", f"guest:{PASSWORD}"))
    assert said.count("refuses user or password") == 2
    assert PASSWORD not in said


def test_a_database_or_virtual_host_that_there_is_not(redis_url, rabbitmq_url):
    assert "has no database of this number" in failure(redis_url.replace("/0", "/999"))
    assert "has no such virtual host" in failure(f"{rabbitmq_url[:-1]}nowhere")


def test_a_right_that_is_missing(redis_server, redis_url, rabbitmq_server, rabbitmq_url):
    rights = ("reset", "on", f">{PASSWORD}", "~*", "+ping", "+select")
    with redis.Redis(port=redis_server.port) as admin:
        admin.execute_command("ACL", "SETUSER", "reads", *rights)
        said = failure(f"redis://reads:{PASSWORD}@127.0.0.1:{redis_server.port}/0")
        admin.execute_command("ACL", "DELUSER", "reads")
    assert "a right is missing" in said
    assert "xadd" in said.lower()
    check_broker(BrokerAddress(rabbitmq_url))
    said = failure(rabbitmq_server.url_of("reads", may_declare=".*", may_write="^$"))
    assert "a right is missing" in said
    assert "exchange 'celery_wsprogress'" in said


def test_something_else_under_the_name_of_the_log(redis_server, redis_url, rabbitmq_server):
    with redis.Redis(port=redis_server.port) as client:
        client.rpush("celery_wsprogress", "somebody's queue")
    assert "holds something else under the name of the log" in failure(redis_url)
    with rabbitmq_server.connect() as connection:
        queue = "other_progress.log"
        connection.channel().queue_declare(queue, durable=True, auto_delete=False)
        said = failure(rabbitmq_server.url, exchange="other_progress")
        connection.channel().queue_delete(queue)
    assert "the queue other_progress.log is no stream" in said
    assert "Delete the queue other_progress.log" in said


def test_a_server_that_is_full(make_redis):
    full = make_redis()
    with redis.Redis(port=full.port) as client:
        client.config_set("maxmemory", "1")
    assert "has no memory left" in failure(full.url)


def test_a_replica(make_redis):
    replica = make_redis()
    with redis.Redis(port=replica.port) as client:
        client.replicaof("127.0.0.1", free_port())
        assert "is a replica" in failure(replica.url)


def test_no_streams_and_then_an_alarm(rabbitmq_without_streams):
    url = rabbitmq_without_streams.url
    said = warning(url)
    assert "so events are live only" in said
    assert "rabbitmqctl enable_feature_flag stream_queue" in said
    rabbitmq_without_streams.control("set_vm_memory_high_watermark", "0.00001")
    said = failure(url)
    assert "an alarm of its memory or disk" in said
    assert "rabbitmq-diagnostics alarms" in said


def test_a_user_who_may_not_declare_the_log(rabbitmq_server, rabbitmq_url):
    url = rabbitmq_server.url_of("declares_less", may_declare="^celery_wsprogress$")
    said = warning(url)
    assert "it has no stream celery_wsprogress.log" in said
    assert "Let this user configure celery_wsprogress.log" in said
    # Once another has declared it, there is nothing to say.
    check_broker(BrokerAddress(rabbitmq_url))
    assert [one.verdict for one in check_broker(BrokerAddress(url))] == [CheckVerdict.OK]


def test_other_limits(rabbitmq_url):
    check_broker(BrokerAddress(rabbitmq_url))
    said = warning(rabbitmq_url, log_bytes=20_000_000)
    assert "the log has other limits" in said
    assert "'x-max-length-bytes'" in said
    assert "Delete the queue celery_wsprogress.log" in said


def test_a_broker_of_one_process():
    assert "works within one process only" in failure("memory://")
