"""The lit suite: one small .mlir for each pass, transform operation and tool. Run it with `lit test/lit`."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import lit.formats

config: Any = globals()["config"]  # lit puts it here
root = Path(__file__).resolve().parents[2]

config.name = "lowtide"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir"]
config.excludes = ["Inputs"]
config.test_source_root = str(root / "test" / "lit")
# Two checkouts, or two users, may run it at the same time.
place = hashlib.sha256(str(root).encode()).hexdigest()[:8]
config.test_exec_root = str(Path(tempfile.gettempdir()) / f"lowtide-lit-{os.getuid()}-{place}")

# A tool's name as a word of its own in a RUN line, so that paths which contain it stay as they are.
for tool, module in (("lowtide-opt", "lowtide.opt.main"), ("lowtide", "lowtide.cli.main"), ("FileCheck", "filecheck")):
    config.substitutions.append((rf"(?<![\w./-]){tool}(?![\w./-])", f'"{sys.executable}" -m {module}'))

config.environment["PYTHONPATH"] = os.pathsep.join([str(root / "python"), str(root / "dialects")])
