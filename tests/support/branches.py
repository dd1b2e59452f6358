"""A plugin of pytest that finds the branches of the pure packages which no test takes.

``pytest -p support.branches tests/hub`` loads their modules with a mark before each statement, in
each ``else`` that is not written, and after each loop. Only the mirror of a module counts for it:
``tests/hub/test_session.py`` for ``hub/session.py``. At the end each mark that was not passed is a
line of the output, and makes the run fail. What only a type checker reads has no marks; whether
the cases of a ``match`` are all there are is for it to say.
"""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder, SourceFileLoader
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from types import CodeType, ModuleType

ROOT = Path(__file__).parent.parent.parent
PACKAGES = tuple(
    f"celery_wsprogress.{name}." for name in ("protocol", "operations", "hub", "access")
)

#: Modules for which all tests of their folder count, as they have no mirror that suffices yet.
WITHOUT_MIRROR: set[str] = {
    "hub/command_context.py",
    "hub/list_page.py",
    "hub/log_cursor.py",
    "hub/rate_limit.py",
    "hub/hub.py",
    "hub/session.py",
    "hub/store.py",
    "hub/subscribe.py",
    "hub/subscriptions.py",
    "operations/history.py",
    "operations/operation.py",
    "operations/runs.py",
    "operations/states.py",
    "protocol/batches.py",
    "protocol/bounded_text.py",
    "protocol/bounded_copy.py",
    "protocol/bounded_json.py",
    "protocol/events.py",
    "protocol/jsonable.py",
}


@dataclass
class Module:
    """A module with marks."""

    path: Path
    module: ModuleType
    marks: list[tuple[int, str]]
    """The line and the meaning of each mark."""
    passed: bytearray
    """Which marks were passed, by the import and by the tests of this module."""

    def is_tested_by(self, test: Path) -> bool:
        place = self.path.relative_to(ROOT / "celery_wsprogress")
        mirror = ROOT / "tests" / place.with_name(f"test_{place.name}")
        if place.as_posix() in WITHOUT_MIRROR:
            return test.parent == mirror.parent
        return test == mirror

    def count_for(self, test: Path) -> None:
        """Count what this file of tests passes, if the module is what it tests."""
        passed = self.passed if self.is_tested_by(test) else bytearray(len(self.marks))
        self.module.__dict__["__passed__"] = passed

    def missing(self) -> list[str]:
        place = self.path.relative_to(ROOT)
        return [
            f"{place}:{line}: {meaning}"
            for passed, (line, meaning) in zip(self.passed, self.marks, strict=True)
            if not passed
        ]


MODULES: list[Module] = []


class Marker(ast.NodeTransformer):
    """Puts a mark at each place where a block of statements may go on."""

    def __init__(self) -> None:
        self.marks: list[tuple[int, str]] = []

    def mark(self, where: ast.AST, meaning: str) -> ast.stmt:
        self.marks.append((where.lineno, meaning))
        [statement] = ast.parse(f"__passed__[{len(self.marks) - 1}] = 1").body
        for node in ast.walk(statement):
            ast.copy_location(node, where)
        return statement

    def generic_visit(self, node: ast.AST) -> ast.AST:
        for field in ("body", "orelse", "finalbody"):
            statements = getattr(node, field, None)
            if isinstance(statements, list):
                setattr(node, field, self.marked(statements))
        for part in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
            self.visit(part)
        return node

    def marked(self, statements: list[ast.stmt]) -> list[ast.stmt]:
        found: list[ast.stmt] = []
        for statement in statements:
            if not _is_for_readers(statement):
                found.append(self.mark(statement, "is not reached"))
                statement = self.visit(statement)  # noqa: PLW2901  # the same, with its marks
            found.append(statement)
        return found

    def visit_If(self, node: ast.If) -> ast.AST:
        return self.with_else(node, "the condition is never false")

    def visit_For(self, node: ast.For) -> ast.AST:
        return self.with_else(node, "the loop never comes to its end")

    def visit_AsyncFor(self, node: ast.AsyncFor) -> ast.AST:
        return self.with_else(node, "the loop never comes to its end")

    def visit_While(self, node: ast.While) -> ast.AST:
        if isinstance(node.test, ast.Constant):
            return self.generic_visit(node)
        return self.with_else(node, "the loop never comes to its end")

    def with_else(self, node: Any, meaning: str) -> ast.AST:
        self.generic_visit(node)
        node.orelse = node.orelse or [self.mark(node, meaning)]
        return node


def _is_for_readers(statement: ast.stmt) -> bool:
    match statement:
        case ast.Expr(value=ast.Constant()) | ast.Global() | ast.Nonlocal():
            return True
        case ast.ImportFrom(module="__future__"):
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
    return False


class Loader(SourceFileLoader):
    """Loads a module with marks, never what Python has compiled without them."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)

    def source_to_code(self, data: Any, path: Any, **_: Any) -> CodeType:  # type: ignore[override]
        self._marker = Marker()
        tree = self._marker.visit(ast.parse(data, path))
        return compile(tree, path, "exec", dont_inherit=True)

    def exec_module(self, module: ModuleType) -> None:
        passed = module.__dict__["__passed__"] = bytearray(10_000)
        super().exec_module(module)
        marks = self._marker.marks
        del passed[len(marks) :]
        MODULES.append(Module(Path(self.path), module, marks, passed))


class Finder(MetaPathFinder):
    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if not name.startswith(PACKAGES):
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec and spec.origin:
            spec.loader = Loader(name, spec.origin)
        return spec


sys.meta_path.insert(0, Finder())


def pytest_runtest_setup(item: pytest.Item) -> None:
    for module in MODULES:
        module.count_for(item.path)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if exitstatus == pytest.ExitCode.OK and any(module.missing() for module in MODULES):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any) -> None:
    terminalreporter.section("branches that no test takes")
    for module in sorted(MODULES, key=lambda one: one.path):
        for line in module.missing():
            terminalreporter.write_line(line)
