"""The server that leads a cluster dies under load: nothing is lost, and nothing comes twice."""

from __future__ import annotations

import random

import pytest
from conftest import make_or_skip
from faults import LEADER_KILLED
from rounds import OPERATIONS, check_nothing_is_lost, go_through, has_started
from support.clusters import RabbitMQCluster, RedisFailover
from support.conditions import eventually
from system import System


@pytest.fixture
def system(request, redis_server):
    """The events are on the cluster; Celery's messages and the results are not."""
    redis_server.clear()
    cluster = make_or_skip(request.param)
    with cluster, System(cluster, redis_server.url, celery=redis_server.url) as made:
        for number in range(4):
            made.join(f"client {number}", sidecar=number % 2, resync=number >= 2)
        yield made


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    "system",
    [
        pytest.param(RedisFailover, id="on sentinels", marks=pytest.mark.redis),
        pytest.param(RabbitMQCluster, id="on three nodes", marks=pytest.mark.rabbitmq),
    ],
    indirect=True,
)
def test_nothing_is_lost_with_the_leader_of_a_cluster(system):
    """It is killed while operations run, which end without it. It comes back, and the next leader
    is killed."""
    system.wait_until_whole()
    if isinstance(system.broker, RabbitMQCluster):
        # Nothing in the code asks for it: a stream has a replica on each node.
        assert len(system.broker.replicas()) == 3
    ids = system.plan(OPERATIONS)
    system.audience.watch(ids)
    early, late = ids[: OPERATIONS // 2], ids[OPERATIONS // 2 :]
    system.send(early, lines=40, pause=0.05)
    eventually(lambda: has_started(system, early[0]), what="one of them to begin")
    system.broker.kill_leader()
    system.send(late, lines=8, pause=0.03)
    check_nothing_is_lost(system.come_to_rest(ids))
    system.broker.start()
    check_nothing_is_lost(go_through(system, LEADER_KILLED, random.Random(0)))
    assert len(system.tail.log.epochs) == 1
