"""The npm package, as who installs it has it: packed, installed offline, imported, type-checked."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest
from conftest import skip_or_fail
from support.node import MODULES, NODE_MODULES, STATIC, require_packages

from celery_wsprogress import __version__

EXPORTED = ("client", "element", "react", "steps")


def run(*command, cwd):
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def tarball(tmp_path_factory):
    """The package as a file."""
    require_packages()
    if shutil.which("npm") is None:
        skip_or_fail("npm is not on this machine")
    folder = tmp_path_factory.mktemp("packed")
    run("npm", "pack", "--silent", "--pack-destination", str(folder), cwd=MODULES)
    return folder / f"celery-wsprogress-{__version__}.tgz"


@pytest.fixture(scope="module")
def project(tarball, tmp_path_factory):
    """Somebody's project that has it, and React; nothing of it came over a network."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    beside = [str(NODE_MODULES / one) for one in ("react", "@types/react", "csstype")]
    options = ("--offline", "--no-audit", "--no-fund", "--ignore-scripts")
    run("npm", "install", *options, str(tarball), *beside, cwd=folder)
    return folder


def test_it_holds_the_modules_and_their_types_and_nothing_else(project):
    installed = project / "node_modules" / "celery-wsprogress"
    assert not installed.is_symlink()
    modules = {one.relative_to(MODULES) for one in MODULES.rglob("*.*") if one.is_file()}
    there = {one for one in modules if one.parts[0] not in {"dashboard", "index.html"}}
    found = {one.relative_to(installed) for one in installed.rglob("*") if one.is_file()}
    assert found == there


def test_what_it_exports_is_in_it():
    exported = json.loads((MODULES / "package.json").read_text())["exports"]
    names = {f"./{one}{ending}" for one in EXPORTED for ending in ("", ".js")}
    assert set(exported) == {".", "./package.json"} | names
    targets = [
        one for entry in exported.values() if isinstance(entry, dict) for one in entry.values()
    ]
    assert [one for one in targets if not (MODULES / one).is_file()] == []


def test_node_imports_it_by_name(project):
    script = """
        const found = await Promise.all(process.argv.slice(1).map((one) => import(one)));
        console.log(JSON.stringify(found.map((one) => Object.keys(one))));
        process.exit();
    """
    names = ["celery-wsprogress", *(f"celery-wsprogress/{one}" for one in EXPORTED)]
    said = json.loads(run("node", "--input-type=module", "-e", script, *names, cwd=project))
    client = ["Client", "CommandError", "ConnectionClosed", "OperationError", "connect"]
    assert said[:2] == [client, client]
    assert said[2:] == [
        ["CeleryProgress"],
        ["CeleryProgress", "useOperation", "useOperations", "useStream"],
        ["Steps", "WorkflowNode", "WorkflowTree", "watchSteps"],
    ]


def test_the_hooks_are_the_clients_and_can_be_imported_where_react_is_of_a_server(project):
    assert (MODULES / "react.js").read_text().startswith('"use client";\n')
    script = "console.log(typeof (await import('celery-wsprogress/react.js')).useOperation)"
    flags = ("--conditions=react-server", "--input-type=module", "-e")
    said = run("node", *flags, f"{script}; process.exit()", cwd=project)
    assert said.strip() == "function"


@pytest.mark.parametrize("resolution", ["nodenext", "bundler"])
@pytest.mark.parametrize("ending", [".js", ""])
def test_a_typed_page_can_use_the_public_api(project, resolution, ending):
    options = json.loads((STATIC / "tsconfig.json").read_text())["compilerOptions"]
    del options["declaration"], options["emitDeclarationOnly"], options["allowJs"]
    del options["checkJs"]
    module = "nodenext" if resolution == "nodenext" else "esnext"
    options |= {"noEmit": True, "jsx": "react-jsx", "module": module}
    options["moduleResolution"] = resolution
    source = (STATIC / "api.tsx").read_text()
    (project / "api.tsx").write_text(re.sub(r'(/\w+)\.js";', rf'\1{ending}";', source))
    (project / "tsconfig.json").write_text(
        json.dumps({"compilerOptions": options, "files": ["api.tsx"]})
    )
    tsc = NODE_MODULES / "typescript" / "bin" / "tsc"
    assert run("node", str(tsc), "-p", ".", cwd=project) == ""
