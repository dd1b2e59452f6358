import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_wsprogress.brokers import EXCHANGE, BrokerAddress
from celery_wsprogress.brokers.amqp.connection import abort, connect, drain_one
from celery_wsprogress.brokers.amqp.epochs import Epochs, name_epochs, next_epoch

WORDS = st.sampled_from(["", "a", "b", "c", "d"])
MESSAGES = st.lists(st.tuples(WORDS, WORDS).map(" ".join).map(str.encode) | st.binary(max_size=6))


def last(messages, current=""):
    for message in messages:
        current = next_epoch(current, message)
    return current


@given(MESSAGES)
def test_an_epoch_is_nothing_or_a_word(messages):
    word = last(messages)
    assert word == "" or word.isalnum()


@given(MESSAGES, st.permutations(["v", "w", "x", "y", "z"]))
def test_of_those_who_propose_after_the_same_word_the_first_has_it(messages, words):
    before = last(messages)
    proposals = [f"{before} {word}".encode() for word in words]
    assert last(proposals, before) == words[0]


@given(MESSAGES, MESSAGES)
def test_whoever_reads_on_knows_what_whoever_reads_all_knows(messages, more):
    assert last(more, last(messages)) == last(messages + more)


@pytest.fixture
def connections(rabbitmq_url):
    opened = [connect(BrokerAddress(rabbitmq_url)) for _ in range(2)]
    yield opened
    for connection in opened:
        abort(connection)


def impatient(connection):
    """One that has not waited for the first word."""
    epochs = Epochs(connection, EXCHANGE, 0.0)
    epochs._timeout = 10.0
    return epochs


def test_all_who_propose_at_once_agree(connections):
    one, other = map(impatient, connections)
    assert one.current == other.current == ""
    for epochs in (one, other):
        epochs.propose()
    assert one.current.isalnum()
    assert one.current == other.current


def test_who_follows_hears_of_a_new_one(connections):
    one = Epochs(connections[0], EXCHANGE, 10.0)
    one.propose()
    other = Epochs(connections[1], EXCHANGE, 10.0)
    assert other.current == one.current
    other.propose()
    before = one.current
    while one.current == before:
        assert drain_one(connections[0], 10.0)
    assert one.current == other.current


def test_many_are_read_to_the_last(connections):
    one = Epochs(connections[0], EXCHANGE, 10.0)
    for _ in range(400):  # more than the broker sends ahead
        one.propose()
    assert Epochs(connections[1], EXCHANGE, 10.0).current == one.current


def test_who_takes_the_stream_for_empty_proposes_in_vain(connections):
    one = Epochs(connections[0], EXCHANGE, 10.0)
    one.propose()
    other = impatient(connections[1])
    assert other.current == ""
    other.propose()
    assert other.current == one.current


def test_what_is_no_proposal_is_passed_over(connections, rabbitmq_server):
    one = Epochs(connections[0], EXCHANGE, 10.0)
    with rabbitmq_server.connect() as connection:
        import amqp

        channel = connection.channel()
        for junk in (b"\xff\xfe", b"", b"word", b" two words"):
            channel.basic_publish(amqp.Message(junk), routing_key=name_epochs(EXCHANGE))
    one.propose()
    assert Epochs(connections[1], EXCHANGE, 10.0).current == one.current
