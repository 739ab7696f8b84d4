"""Which folder or module of lowtide imports which: data flows one way, and so do the imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2] / "python" / "lowtide"
PACKAGE = "lowtide"

Edges = Mapping[str, Mapping[str, list[str]]]
"""By node, which is a folder or a module of the top level, the nodes that it imports, and the lines that do."""


def test_no_circle_of_imports() -> None:
    """Nor of those in functions and under `TYPE_CHECKING`: a layer that only names another's types still needs it."""
    edges = _edges()
    circles = sorted(
        f"{source} imports {target}, which needs {source}:\n  " + "\n  ".join(lines)
        for source, targets in edges.items()
        for target, lines in targets.items()
        if source in _reached(edges, target)
    )
    assert not circles, "\n".join(circles)


def _edges() -> Edges:
    found: dict[str, dict[str, list[str]]] = {}
    for path in sorted(ROOT.rglob("*.py")):
        file = path.relative_to(ROOT)
        source = file.parts[0].removesuffix(".py")
        for line, parts in _imports(path):
            target = _node(parts)
            if target != source:
                found.setdefault(source, {}).setdefault(target, []).append(f"{file}:{line} {'.'.join(parts)}")
    return found


def _imports(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line and parts below the package of each name that a file imports from it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            package, *parts = name.split(".")
            if package == PACKAGE:
                yield node.lineno, parts


def _node(parts: list[str]) -> str:
    """The folder or module of the top level; the package's own `__init__` where a name is none of them."""
    named = bool(parts) and ((ROOT / parts[0]).is_dir() or (ROOT / f"{parts[0]}.py").is_file())
    return parts[0] if named else "__init__"


def _reached(edges: Edges, start: str) -> set[str]:
    """The nodes that one needs, however many imports lie between."""
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        node = waiting.pop()
        if node not in reached:
            reached.add(node)
            waiting.extend(edges.get(node, {}))
    return reached
