"""Write a small program from a specification, and find out whether it is right by running it."""

from __future__ import annotations

import ast
import copy
import subprocess
import sys
from typing import Any, NamedTuple

TIMEOUT = 10.0  # seconds that a program may run


class Conversion(NamedTuple):
    """One function that the program must have: its formula, and what must come out."""

    name: str
    argument: str
    formula: str
    cases: dict[float, float]


SPECIFICATION = (
    Conversion("celsius_to_fahrenheit", "c", "c * 9 / 5 + 32", {0: 32, 100: 212, -40: -40}),
    Conversion("fahrenheit_to_celsius", "f", "(f - 32) * 5 / 9", {32: 0, 212: 100, -40: -40}),
    Conversion("celsius_to_kelvin", "c", "c + 273.15", {0: 273.15, 26.85: 300}),
    Conversion("miles_to_kilometres", "m", "m * 1.609344", {1: 1.609344, 10: 16.09344}),
    Conversion("feet_to_metres", "ft", "ft * 12 * 2.54 / 100", {1: 0.3048, 100: 30.48}),
    Conversion("pounds_to_kilograms", "lb", "lb * 0.45359237", {1: 0.45359237, 0: 0}),
    Conversion("knots_to_metres_a_second", "kn", "kn * 1852 / 3600", {36: 18.52, 1: 0.5144444}),
    Conversion("degrees_to_radians", "deg", "deg * 3.14159265359 / 180", {180: 3.14159265359}),
    Conversion("circle_area", "r", "3.14159265359 * r ** 2", {1: 3.14159265359, 2: 12.56637061}),
    Conversion("sphere_volume", "r", "4 / 3 * 3.14159265359 * r ** 3", {1: 4.188790205}),
    Conversion("fall_time", "h", "(2 * h / 9.81) ** 0.5", {4.905: 1, 44.145: 3}),
    Conversion("triangle_number", "n", "n * (n + 1) / 2", {1: 1, 4: 10, 100: 5050}),
)

HEAD = '"""Generated; do not edit."""\n\nfrom math import isclose\n'


class Verdict(NamedTuple):
    """How a run of a program went."""

    passed: bool
    output: str


def write_function(wanted: Conversion) -> str:
    """Write one function from its formula."""
    tree = ast.parse(f"def {wanted.name}({wanted.argument}):\n    return 0")
    function = tree.body[0]
    assert isinstance(function, ast.FunctionDef)  # noqa: S101 - it was written one line above
    function.body = [ast.Return(ast.parse(wanted.formula, mode="eval").body)]
    return ast.unparse(ast.fix_missing_locations(tree))


def write_checks(wanted: Conversion) -> str:
    """Write the checks of one function from its cases."""
    return "\n".join(
        f"assert isclose({wanted.name}({given!r}), {due!r}, rel_tol=1e-6, abs_tol=1e-9)"
        for given, due in wanted.cases.items()
    )


def assemble(functions: list[str], checks: list[str]) -> str:
    """Put the pieces together: one program that checks itself and says so."""
    done = f'print("{len(functions)} functions, all checks passed")'
    return "\n\n".join([HEAD, *functions, *checks, done]) + "\n"


def run(program: str, timeout: float = TIMEOUT) -> Verdict:
    """Run a program in a Python of its own, for ``timeout`` seconds at the most."""
    command = [sys.executable, "-I", "-c", program]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        return Verdict(passed=False, output=f"still running after {timeout:g} s")
    return Verdict(done.returncode == 0, (done.stdout or done.stderr).strip())


def mutants(function: str) -> list[str]:
    """Return the function with one thing wrong in it, in every way this knows of.

    Checks are worth something when they notice: each of these should make them fail.
    """
    tree = ast.parse(function)
    return [
        _changed(tree, place, change)
        for place, node in enumerate(ast.walk(tree))
        for change in _changes(node)
    ]


_OPERATORS = (ast.Add(), ast.Sub(), ast.Mult(), ast.Div(), ast.Pow())


def _changes(node: ast.AST) -> list[tuple[str, Any]]:
    """Return what could be wrong with a node: a field of it, and the wrong value."""
    match node:
        case ast.BinOp(op=right):
            return [("op", other) for other in _OPERATORS if type(other) is not type(right)]
        case ast.Constant(value=int() | float() as number):
            return [("value", number + 1), ("value", -number)]
    return []


def _changed(tree: ast.Module, place: int, change: tuple[str, Any]) -> str:
    wrong = copy.deepcopy(tree)
    setattr(list(ast.walk(wrong))[place], *change)
    return ast.unparse(wrong)
