"""The rules of the house that the source itself can tell: names, sizes, docstrings, imports."""

from __future__ import annotations

import ast
import gc
import re
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "celery_wsprogress"
TESTS = ROOT / "tests"

#: The browser modules.
SCRIPTS = sorted(PACKAGE.rglob("*.js"))

#: The longest a file of the package may be.
MAX_LINES = 300

PRIVATE = re.compile(r"_[a-zA-Z]\w*")
CONSTANT = re.compile(r"_?[A-Z][A-Z0-9_]*")
SCRIPT_IMPORT = re.compile(r'(?:\bfrom|^import) "(\.[^"]+)";', re.MULTILINE)

# What does not hold. An entry that is no longer needed fails its test: these only shrink.

LOOKS_INSIDE: dict[str, set[str]] = {
    # How full the queue of a process is, and whether anything is due: nothing in it asks that.
    "tests/projects/life.py": {"_outbox"},
    "tests/standalone/test_registry.py": {"_cache", "_outbox"},
    # A process that forgets what holds until it ends.
    "tests/support/process_state.py": {"_cache", "_default"},
    # A moment that a client cannot see: that it has missed something, and was not told yet.
    "tests/support/sidecars.py": {"_by_session", "_unread"},
    # Locks are held while it forks, and a thread of ours sleeps.
    "tests/test_fork.py": {"_forking", "_lock", "_registry", "_wakes_at"},
}
PATCHED_CONSTANTS: dict[str, set[str]] = {
    # Times of a minute and more, and sizes of many megabytes, in tests with real servers: each is
    # right for everybody, and is no setting.
    "tests/brokers/redis/test_server_memory.py": {"MAINTENANCE_INTERVAL"},
    "tests/brokers/redis/test_reader.py": {"MAINTENANCE_INTERVAL", "MAX_ENTRIES", "MAX_READ_BYTES"},
    "tests/brokers/test_amqp_alarm.py": {"BLOCKED_RETRY_INTERVAL"},
    "tests/brokers/test_refusals.py": {"MAX_DELAY"},
    "tests/projects/life.py": {"REPEAT_STARTED_INTERVAL"},
    "tests/standalone/test_registry.py": {"REPEAT_STARTED_INTERVAL"},
}


def python_files(folder):
    return sorted(folder.rglob("*.py"))


def path_of(file):
    return file.relative_to(ROOT).as_posix()


class Facts(NamedTuple):
    """What the rules ask of a file. Its syntax tree is not kept: collecting garbage takes longer
    for each object that there is."""

    has_docstring: bool
    classes: list[str]
    imports: list[tuple[str | None, list[str]]]
    """The module of ``from … import``, or None, and the names."""
    binds: set[str]
    """Variables, attributes, functions and classes, wherever they are bound."""
    uses: set[str]
    """Attributes, but not of ``self`` and ``cls``; imported names; and those that are patched."""
    patches: set[str]
    """Names that are set in modules and objects."""


@cache
def facts_of(file):
    # Nothing in a tree is garbage while it is made.
    gc.disable()
    try:
        tree = ast.parse(file.read_text(), str(file))
        facts = Facts(bool(ast.get_docstring(tree)), [], [], set(), set(), set())
        for node in ast.walk(tree):
            add_to(facts, node)
    finally:
        gc.enable()
    facts.uses.update(facts.patches)
    return facts


def add_to(facts, node):
    match node:
        case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
            facts.binds.add(node.name)
            if isinstance(node, ast.ClassDef):
                facts.classes.append(node.name)
        case ast.Name(ctx=ast.Store()):
            facts.binds.add(node.id)
        case ast.Attribute():
            add_attribute_to(facts, node)
        case ast.Import():
            facts.imports.append((None, [alias.name for alias in node.names]))
        case ast.ImportFrom():
            names = [alias.name for alias in node.names]
            facts.imports.append((node.module, names))
            facts.uses.update(names)
        case ast.Call(func=ast.Attribute(attr="setattr" | "delattr") | ast.Name(id="setattr")):
            facts.patches.update(
                argument.value.rpartition(".")[2]
                for argument in node.args[:2]
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
            )


def add_attribute_to(facts, node):
    owner = getattr(node.value, "id", None)
    if owner not in {"self", "cls"}:
        facts.uses.add(node.attr)
    if isinstance(node.ctx, ast.Store):
        facts.binds.add(node.attr)
        if owner not in {None, "self"}:
            facts.patches.add(node.attr)


def test_no_module_is_named_by_a_verb_in_ing():
    folders = [PACKAGE, TESTS, ROOT / "benchmarks"]
    found = {path_of(file) for folder in folders for file in python_files(folder)}
    assert {name for name in found if name.endswith("ing.py")} == set()


def test_no_class_of_the_package_has_the_name_of_another():
    places = defaultdict(list)
    for file in python_files(PACKAGE):
        for name in facts_of(file).classes:
            places[name].append(path_of(file))
    assert {name for name, where in places.items() if len(where) > 1} == set()


def test_no_file_of_the_package_is_long():
    files = [*python_files(PACKAGE), *SCRIPTS]
    lengths = {path_of(file): len(file.read_text().splitlines()) for file in files}
    assert {name for name, lines in lengths.items() if lines > MAX_LINES} == set()


def test_each_module_of_the_package_says_what_it_is_for():
    silent = {path_of(file) for file in python_files(PACKAGE) if not facts_of(file).has_docstring}
    assert silent == set()


# Imports, also those that only a type checker follows.


def module_name(file):
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(file): file for file in python_files(PACKAGE)}


def imported_by(file):
    """The modules of the package that this file names in imports, wherever they stand in it."""
    for module, names in facts_of(file).imports:
        if module is None:
            yield from (name for name in names if name in MODULES)
        elif module in MODULES:
            for name in names:
                inner = f"{module}.{name}"
                yield inner if inner in MODULES else module


def reached_from(name, graph):
    reached, waiting = set(), [name]
    while waiting:
        new = graph[waiting.pop()] - reached
        reached |= new
        waiting += new
    return reached


def circles_in(graph):
    reached = {name: reached_from(name, graph) for name in graph}
    return {
        frozenset(other for other in names if name in reached[other])
        for name, names in reached.items()
        if name in names
    }


def test_no_modules_import_each_other_in_a_circle():
    # The package's own names lead everywhere: it loads them when they are asked for.
    graph = {name: {*imported_by(file)} - {PACKAGE.name} for name, file in MODULES.items()}
    del graph[PACKAGE.name]
    assert circles_in(graph) == set()


def test_no_browser_modules_import_each_other_in_a_circle():
    graph = {
        path_of(file): {
            path_of((file.parent / name).resolve())
            for name in SCRIPT_IMPORT.findall(file.read_text())
        }
        for file in SCRIPTS
    }
    assert sum(map(len, graph.values())) > len(graph)
    assert circles_in(graph) == set()


# What tests may look at.


def mirrored_by(test):
    """The module that this file of tests is the mirror of, if there is one.

    ``worker/test_context.py`` and ``worker/test_context_threads.py`` are of ``worker/context.py``,
    and ``test_exports.py`` is of the package itself.
    """
    if test == TESTS / "test_exports.py":
        return PACKAGE / "__init__.py"
    name = test.stem.removeprefix("test_")
    while name:
        module = PACKAGE / test.relative_to(TESTS).with_name(name)
        for file in (module.with_suffix(".py"), module / "__init__.py"):
            if file.is_file():
                return file
        name = name.rpartition("_")[0]
    return None


def by_file(find):
    """What is found in each file of tests, of the modules that it is not the mirror of."""
    everywhere = set().union(*(facts_of(file).binds for file in MODULES.values()))
    found = {}
    for file in python_files(TESTS):
        mirrored = mirrored_by(file)
        own = facts_of(mirrored).binds if mirrored else set()
        found[path_of(file)] = find(facts_of(file)) & everywhere - own
    return {name: names for name, names in found.items() if names}


def test_only_the_tests_of_a_module_look_inside_it():
    def private(facts):
        return {name for name in facts.uses if PRIVATE.fullmatch(name)}

    assert by_file(private) == LOOKS_INSIDE


def test_only_the_tests_of_a_module_patch_its_constants():
    def constants(facts):
        return {name for name in facts.patches if CONSTANT.fullmatch(name)}

    assert by_file(constants) == PATCHED_CONSTANTS
