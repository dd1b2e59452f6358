"""The declarations (``.d.ts``) of the browser modules, made from their JSDoc by ``tsc``.

The declarations are shipped, so that users of the modules need no build step. Those of the four
public modules lie beside them, the others in ``types/``. The modules of the dashboard are checked
too; nobody imports them, so they have no declarations. What JSDoc cannot say, as the element's name
for ``document.querySelector``, stands in ``additions/`` and is put behind them.

Generate them with ``python tests/static/declarations.py``; a test fails when that was forgotten.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
MODULES = HERE.parents[1] / "celery_wsprogress" / "static" / "celery_wsprogress"
NODE_MODULES = HERE / "node_modules"
ADDITIONS = HERE / "additions"
PARTS = ["*.js", "client/*.js", "element/*.js", "dashboard/**/*.js"]
PUBLIC = ("client.d.ts", "element.d.ts", "react.d.ts", "steps.d.ts")

_DECLARATIONS = shutil.ignore_patterns("*.d.ts")


def compile_declarations(folder: Path) -> str:
    """Check the modules, strictly, and write their declarations into a folder as they are shipped.

    Returns:
        The output of ``tsc``; empty when all is well.
    """
    with tempfile.TemporaryDirectory() as name:
        # Away from the declarations there are, which would be believed.
        copies, made = Path(name) / "modules", Path(name) / "made"
        shutil.copytree(MODULES, copies, ignore=_DECLARATIONS)
        (copies / "node_modules").symlink_to(NODE_MODULES)
        options = json.loads((HERE / "tsconfig.json").read_text())
        options["compilerOptions"] |= {"rootDir": ".", "outDir": str(made)}
        (copies / "tsconfig.json").write_text(json.dumps({**options, "include": PARTS}))
        command = ["node", str(NODE_MODULES / "typescript" / "bin" / "tsc"), "-p", "."]
        done = subprocess.run(command, cwd=copies, capture_output=True, text=True, check=False)
        _lay_out(made, folder)
    return done.stdout + done.stderr


def _lay_out(made: Path, folder: Path) -> None:
    """Put the four public declarations at the top and those that they import into ``types/``."""
    for part in ("client", "element"):
        if (made / part).is_dir():
            shutil.copytree(made / part, folder / "types" / part)
    for name in PUBLIC:
        if (made / name).is_file():
            text = re.sub(r'"\./(client|element)/', r'"./types/\1/', (made / name).read_text())
            more = ADDITIONS / name
            (folder / name).write_text(text + (more.read_text() if more.is_file() else ""))


def shipped(folder: Path) -> dict[str, str]:
    """Return the texts of the declarations in a folder, by their relative paths."""
    return {str(one.relative_to(folder)): one.read_text() for one in folder.rglob("*.d.ts")}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        complaints = compile_declarations(Path(name))
        if complaints:
            sys.exit(complaints)
        for old in MODULES.rglob("*.d.ts"):
            old.unlink()
        shutil.copytree(name, MODULES, dirs_exist_ok=True)
