"""The nodes of a plan, from frozen signatures and from those of a message."""

from __future__ import annotations

import json

import pytest
from celery import Celery, chain, chord, group

from celery_wsprogress.protocol.plans import MAX_PLAN_NODES
from celery_wsprogress.worker.plans import signatures
from celery_wsprogress.worker.plans.nodes import PlanNodes, weight_of


@pytest.fixture(scope="module")
def task():
    app = Celery("signatures", broker="memory://", backend="cache+memory://", set_as_current=False)

    @app.task(name="t", shared=False)
    def task(*_):
        pass

    return task.si


@pytest.fixture(params=["Celery's", "of a message"])
def frozen(request):
    """Gives a frozen signature, as the caller has it, or as it comes out of a message."""

    def freeze(signature):
        signature.freeze()
        return signature if request.param == "Celery's" else json.loads(json.dumps(signature))

    return freeze


def nodes_of(signature):
    nodes = PlanNodes()
    nodes.add_members([signature], nodes.add_block("group", -1))
    return nodes


def tree(nodes, index=0):
    inside = [tree(nodes, i) for i, one in enumerate(nodes) if one.parent == index]
    kind = nodes[index].kind
    return nodes[index].name if kind == "task" else inside if kind == "chain" else tuple(inside)


SHAPES = {
    "task": (lambda t: t(), "t"),
    "chain": (lambda t: chain(t(), t()), ["t", "t"]),
    "chain of one": (lambda t: chain([t()]), "t"),
    "chain in a chain": (lambda t: chain(t(), chain(t(), t())), ["t", "t", "t"]),
    "chord": (lambda t: chord([t(), t()], t()), [("t", "t"), "t"]),
    "chord without a body": (lambda t: chain(t(), group(t(), t())), ["t", ("t", "t")]),
    "chord, then more": (
        lambda t: chain(t(), group(t(), t()), t(), t()),
        ["t", ("t", "t"), "t", "t"],
    ),
    "empty group in a chain": (lambda t: chain(t(), group(), t()), ["t", "t"]),
    "nested": (
        lambda t: chord(
            [chain(t(), group(t(), chain(t(), t())), t()), t()], chain(t(), chord([t(), t()], t()))
        ),
        [(["t", ("t", ["t", "t"]), "t"], "t"), "t", ("t", "t"), "t"],
    ),
}


@pytest.mark.parametrize("name", SHAPES)
def test_the_tree_of_a_signature(task, frozen, name):
    make, expected = SHAPES[name]
    nodes = nodes_of(frozen(make(task)))
    assert tree(nodes.nodes) == (expected,)
    assert nodes.tasks == sum(node.kind == "task" for node in nodes.nodes)


def test_groups_in_a_group_are_one(task, frozen):
    nodes = nodes_of(frozen(group(task(), group(task(), group(task())))))
    assert tree(nodes.nodes) == ("t", "t", "t")


@pytest.mark.parametrize("name", SHAPES)
def test_the_last_id_is_the_one_that_the_caller_holds(task, frozen, name):
    signature = SHAPES[name][0](task)
    result = signature.freeze()
    assert signatures.last_id(frozen(signature)) == result.id


def test_what_runs_first(task, frozen):
    signature = frozen(chord([chain(task(), task()), task()], task()))
    ids = signatures.first_ids(signature)
    assert len(ids) == 2
    for one in ids:
        assert signatures.begins_with(signature, {one})
    assert not signatures.begins_with(signature, {signatures.last_id(signature)})
    assert signatures.first_ids(group()) == set()
    assert not signatures.begins_with(group(), {"a"})


def test_the_names_of_tasks_contain_those_that_are_called_for_each_item(task):
    assert list(signatures.names_in(chain(task(), task().type.map([1])))) == [
        "t",
        "celery.map",
        "t",
    ]


def test_a_large_plan_lists_the_parts_of_a_chain_first(task):
    many = group(task() for _ in range(MAX_PLAN_NODES + 100))
    nodes = nodes_of(_frozen(chain(task(), many, task())))
    assert nodes.is_full
    assert nodes.tasks == MAX_PLAN_NODES + 102
    kinds = [node.kind for node in nodes.nodes[:5]]
    assert kinds == ["group", "chain", "task", "group", "task"]
    assert len(nodes.without_empty_blocks()) == MAX_PLAN_NODES


def test_a_large_plan_has_no_block_without_parts(task):
    nodes = PlanNodes()
    root = nodes.add_block("group", -1)
    one = _frozen(chain(task(), group(task(), task())))
    nodes.add_members([one] * (MAX_PLAN_NODES // 3), root)
    listed = nodes.without_empty_blocks()
    parents = {node.parent for node in listed}
    assert all(node.kind == "task" or i in parents for i, node in enumerate(listed))
    assert all(node.parent < i for i, node in enumerate(listed))
    assert nodes.tasks == MAX_PLAN_NODES // 3 * 3


def _frozen(signature):
    signature.freeze()
    return signature


def test_ids_that_no_event_can_have_are_only_counted(task):
    nodes = nodes_of(task().set(task_id="x" * 1_001))
    assert (nodes.tasks, len(nodes.nodes)) == (1, 1)


def test_a_long_name_is_cut(task):
    long = task().set(task_id="a")
    long["task"] = "n" * 1_000
    assert len(nodes_of(long).nodes[1].name) < 600


@pytest.mark.parametrize(
    ("header", "weight"),
    [
        ({"weight": 3}, 3.0),
        ({"weight": 0.5}, 0.5),
        ({}, 1.0),
        (None, 1.0),
        ("text", 1.0),
        ({"weight": 0}, 1.0),
        ({"weight": -1}, 1.0),
        ({"weight": True}, 1.0),
        ({"weight": "3"}, 1.0),
        ({"weight": float("nan")}, 1.0),
        ({"weight": float("inf")}, 1.0),
        ({"weight": 10**400}, 1.0),
    ],
)
def test_the_weight_of_a_task(header, weight):
    assert weight_of({"wsprogress": header}) == weight


def test_the_weight_stands_in_the_plan(task):
    heavy = task().set(task_id="a", headers={"wsprogress": {"weight": 4}})
    assert nodes_of(heavy).nodes[1].weight == 4.0


def test_bad_weights_have_one_warning(caplog):
    for value in (-5, "heavy"):
        assert weight_of({"wsprogress": {"weight": value}}) == 1.0
    assert caplog.text.count("the weight of a task") <= 1
