"""The declarations (``.d.ts``) of the browser modules, made from their JSDoc by ``tsc``.

The modules of the dashboard are checked as the others are; nobody imports them, so that they have
no declarations.

They are shipped, so that nobody who uses the modules needs a build step. Make them anew with
``python tests/static/declarations.py``; a test says when that was forgotten.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
MODULES = HERE.parents[1] / "celery_wsprogress" / "static" / "celery_wsprogress"
NODE_MODULES = HERE / "node_modules"
PARTS = ["*.js", "dashboard/*.js"]

_DECLARATIONS = shutil.ignore_patterns("*.d.ts")


def compile_declarations(folder: Path) -> str:
    """Check the modules, strictly, and write their declarations into a folder.

    Returns:
        What ``tsc`` has to say; nothing where all is well.
    """
    with tempfile.TemporaryDirectory() as name:
        # Away from the declarations there are, which would be believed.
        copies = Path(name)
        shutil.copytree(MODULES, copies, ignore=_DECLARATIONS, dirs_exist_ok=True)
        (copies / "node_modules").symlink_to(NODE_MODULES)
        options = json.loads((HERE / "tsconfig.json").read_text())
        options["compilerOptions"] |= {"rootDir": ".", "outDir": str(folder)}
        (copies / "tsconfig.json").write_text(json.dumps({**options, "include": PARTS}))
        command = ["node", str(NODE_MODULES / "typescript" / "bin" / "tsc"), "-p", "."]
        done = subprocess.run(command, cwd=copies, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        complaints = compile_declarations(Path(made))
        if complaints:
            sys.exit(complaints)
        for old in MODULES.glob("*.d.ts"):
            old.unlink()
        for new in Path(made).glob("*.d.ts"):
            shutil.copy(new, MODULES)
