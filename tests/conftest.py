"""The brokers the tests run on, and the processes they run in.

``redis_server`` and ``rabbitmq_server`` live as long as the test run and are shared by all tests
of one process: never stop or pause them. ``redis_url`` and ``rabbitmq_url`` are theirs, emptied
for each test; ``broker_url`` runs a test on each. ``own_redis`` and ``own_rabbitmq`` belong to one
test, to be killed; ``make_redis`` starts Redis servers of other kinds. A test that lacks something
else on this machine calls :func:`skip_or_fail`.
"""

from __future__ import annotations

import logging
import os
import signal
import tomllib
from contextlib import ExitStack
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import hypothesis
import pytest
from support.browsers import chromium
from support.servers import RabbitMQServer, RedisServer, Server, ServerMissingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

FORBID_SKIPS = "WSPROGRESS_FORBID_SKIPS"

S = TypeVar("S", bound=Server)

# Few enough to run all the time, and no limit on time: the machine may be busy.
hypothesis.settings.register_profile(
    "tests",
    max_examples=30,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
# The gate of the branches asks for this one: no branch is left to luck.
hypothesis.settings.register_profile(
    "branches", hypothesis.settings.get_profile("tests"), max_examples=1, derandomize=True
)
# Where only pure tests are asked for, which is done many times a day.
hypothesis.settings.register_profile(
    "pure", hypothesis.settings.get_profile("tests"), max_examples=10
)
# With `make fuzz`.
hypothesis.settings.register_profile(
    "thorough", hypothesis.settings.get_profile("tests"), max_examples=1_000
)
hypothesis.settings.load_profile("tests")

# What a shell starts in the background ignores Ctrl-C; the programs that tests start and interrupt
# would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_MARKS = {
    "redis": {"redis_server", "redis_url", "own_redis", "make_redis"},
    "rabbitmq": {
        "rabbitmq_server",
        "rabbitmq_url",
        "own_rabbitmq",
        "rabbitmq_without_streams",
    },
}


def pytest_configure(config: pytest.Config) -> None:
    """Draw fewer examples where only pure tests are wanted, and no profile is named."""
    if config.getoption("--hypothesis-profile"):
        return
    pure = _pure_tests(config.rootpath)
    folders = {file.parent for file in pure} - {config.rootpath / "tests"}
    asked = {config.invocation_params.dir / name.partition("::")[0] for name in config.args}
    if config.option.markexpr == "pure" or asked <= pure | folders:
        hypothesis.settings.load_profile("pure")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not even import the other tests where only the pure ones are wanted: that takes long."""
    if config.option.markexpr != "pure":
        return None
    pure = _pure_tests(config.rootpath)
    wanted = {*pure, *(file.parent for file in pure), config.rootpath}
    return None if collection_path in wanted else True


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests, and bring them into their order.

    What needs a server is marked with it: asking for its fixture is enough. The tests of the
    modules without any input or output are marked, too, and come first: they take seconds. Those
    with real workers follow: what takes longest should not be what begins last.
    """
    for item in items:
        if " at 0x" in item.nodeid:
            # Each of the processes that share the tests would know it by another name.
            raise pytest.UsageError(f"{item.nodeid} has the address of an object in its name")
    tests = config.rootpath / "tests"
    pure = _pure_tests(config.rootpath)
    long = {tests / folder for folder in ("end_to_end", "example_app", "faults", "worker")}
    for item in items:
        asked = set(getattr(item, "fixturenames", ()))
        for mark, fixtures in _MARKS.items():
            if asked & fixtures:
                item.add_marker(mark)
        if item.path in pure:
            item.add_marker("pure")
    items.sort(key=lambda item: (item.path not in pure, item.path.parent not in long))


@cache
def _pure_tests(root: Path) -> set[Path]:
    """The files that test the modules which must be pure, as the import contract names them.

    The rules of the house are read from the source, and are among them.
    """
    with (root / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    [pure] = [one["source_modules"] for one in contracts if one["name"] == "Pure packages"]
    names = [module.rpartition(".")[2] for module in pure]
    tests = root / "tests"
    of_packages = {file for name in names for file in (tests / name).glob("test_*.py")}
    return of_packages | {tests / f"test_{name}.py" for name in [*names, "house"]}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """In how many processes ``-n auto`` runs the tests: those that were picked run in this one."""
    picked = config.args_source is pytest.Config.ArgsSource.ARGS or config.option.keyword
    # Two for each core, as most of them wait for other processes; each may start a RabbitMQ.
    return 0 if picked else min(2 * (os.cpu_count() or 1), 8)


def pytest_report_header() -> str:
    """Say how many processors there are: how long a run takes is hard to judge without."""
    return f"processors: {os.cpu_count()}, load before: {os.getloadavg()[0]:.1f}"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """How they are spread over these processes."""
    from support.xdist_schedule import ByFile

    return ByFile(config, log)


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what tests recorded as a size, also where they are all well."""
    reports = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    sizes = [
        f"{name.removeprefix('size: ')}: {value:,} bytes minified and gzipped"
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name.startswith("size: ")
    ]
    if sizes:
        terminalreporter.section("browser modules")
        for line in sizes:
            terminalreporter.write_line(line)


def skip_or_fail(reason: str) -> None:
    """Skip the test for want of something on this machine; fail it where skips are forbidden."""
    if os.environ.get(FORBID_SKIPS) == "1":
        pytest.fail(f"{reason}, and {FORBID_SKIPS} is set", pytrace=False)
    pytest.skip(reason)


def make_or_skip(kind: Callable[[], S]) -> S:
    """Make a server, or find a program; skip the test where this machine has none."""
    try:
        return kind()
    except ServerMissingError as exc:
        skip_or_fail(str(exc))
        raise


#: Before any test; a fixture of a whole module may start a worker before a test begins.
_LOG_LEVEL = logging.root.level


@pytest.fixture(autouse=True)
def root_log_level() -> Iterator[None]:
    """Undo what a Celery worker in this process does to the level of all logging."""
    logging.root.setLevel(_LOG_LEVEL)
    yield
    logging.root.setLevel(_LOG_LEVEL)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    with make_or_skip(RedisServer) as server:
        yield server


@pytest.fixture(scope="session")
def rabbitmq_server() -> Iterator[RabbitMQServer]:
    with make_or_skip(RabbitMQServer) as server:
        yield server


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A Redis that keeps its data when it is killed."""
    with make_or_skip(lambda: RedisServer(persistent=True)) as server:
        yield server


@pytest.fixture
def own_rabbitmq() -> Iterator[RabbitMQServer]:
    with make_or_skip(RabbitMQServer) as server:
        yield server


@pytest.fixture
def rabbitmq_without_streams() -> Iterator[RabbitMQServer]:
    with make_or_skip(lambda: RabbitMQServer(streams=False)) as server:
        yield server


@pytest.fixture
def make_redis() -> Iterator[Callable[..., RedisServer]]:
    """Start Redis servers with other arguments; they go with the test."""
    with ExitStack() as stack:
        yield lambda **how: stack.enter_context(make_or_skip(lambda: RedisServer(**how)))


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    redis_server.clear()
    return redis_server.url


@pytest.fixture
def rabbitmq_url(rabbitmq_server: RabbitMQServer) -> str:
    rabbitmq_server.clear()
    return rabbitmq_server.url


@pytest.fixture(
    params=[
        pytest.param("redis_url", id="redis", marks=pytest.mark.redis),
        pytest.param("rabbitmq_url", id="rabbitmq", marks=pytest.mark.rabbitmq),
    ]
)
def broker_url(request: pytest.FixtureRequest) -> str:
    """The URL of each real broker in turn, with nothing in it."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The system's Chromium, headless; tests open contexts or pages of their own in it."""
    with ExitStack() as closes:
        yield make_or_skip(lambda: closes.enter_context(chromium()))
