"""The rules of the house (docs of design, "The house"), read off the source with ast."""

from __future__ import annotations

import ast
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import akosha_snap

ROOT = Path(akosha_snap.__file__).parent
PACKAGE = "akosha_snap"

LEAVES = {"errors", "events", "failure", "atomic", "deadline", "scratch", "signals", "version"}
"""Importable by all; they import nothing of ours but each other."""

CHUNKING = {"chunking"}
FRAMES = CHUNKING | {"frames"}
MANIFEST = FRAMES | {"manifest"}
SNAPSHOT = MANIFEST | {"source", "stores", "snapshot"}
EVERYTHING = SNAPSHOT | {"api", "sync", "akosha", "config", "demo", "cli", "integrations"}

MAY_IMPORT = {
    "chunking": CHUNKING,
    "frames": FRAMES,
    "manifest": MANIFEST,  # a manifest locates frames, format.json names the chunker's parameters
    "source": {"source"},
    "stores": {"stores"},
    "snapshot": SNAPSHOT,
    "api": SNAPSHOT,
    "demo": SNAPSHOT | {"api", "demo"},
    "akosha": SNAPSHOT | {"api", "akosha"},
    "sync": SNAPSHOT | {"api", "akosha", "config", "sync"},
    "config": MANIFEST | {"stores", "config"},  # the hostname made a system id
    "integrations": EVERYTHING - {"cli"},
    "cli": EVERYTHING,
    "__init__": {"api", "stores"},
    "__main__": {"cli"},
    "akosha/__main__": MANIFEST | {"akosha", "cli", "config"},
    **dict.fromkeys(LEAVES, LEAVES),
}
"""What each part of the package may import of the others, besides the leaves."""

COMMANDS = {"akosha/__main__.py"}
"""Command lines beside the one in cli/: they parse, call and render, and may read the settings as it does."""

PURE = {"chunking", "frames", "manifest"}
IO_MODULES = {"os", "io", "pathlib", "socket", "boto3", "botocore", "duckdb", "subprocess", "shutil", "tempfile"}

READS_ENVIRONMENT = {"cli", "config", "__main__"}
INHERITS_ENVIRONMENT = {"source/spawn.py"}
"""It looks nothing up: it hands its own environment on to the child process, which needs PATH, HOME and TMPDIR."""

STANDS_IN_FOR_BOTO3 = {"stores/s3_settings.py"}
"""boto3 reads AWS_* wherever it is called; this module, in its place, has to see what boto3 would."""

ARGV_AND_ENVIRONMENT = {"os.environ", "os.environb", "os.getenv", "os.getenvb", "sys.argv"}

MAX_LINES = 350


class Module(NamedTuple):
    path: str
    """Relative to the package, with slashes."""
    tree: ast.Module
    lines: int

    @property
    def part(self) -> str:
        """`chunking` for chunking/grid.py, `errors` for errors.py; a package's command is a part of its own."""
        if self.path in COMMANDS:
            return self.path.removesuffix(".py")
        return self.path.split("/")[0].removesuffix(".py")

    @property
    def package(self) -> list[str]:
        """The package that a relative import starts from."""
        return [PACKAGE, *self.path.split("/")[:-1]]


def _load(path: Path) -> Module:
    text = path.read_text("utf-8")
    return Module(path.relative_to(ROOT).as_posix(), ast.parse(text), text.count("\n"))


MODULES = sorted(map(_load, ROOT.rglob("*.py")))


def imports(module: Module) -> Iterator[str]:
    """The dotted name of everything imported, in functions and under TYPE_CHECKING too."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = module.package[: len(module.package) - node.level + 1] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            yield from (f"{base}.{name.name}" for name in node.names)


def parts_imported(module: Module) -> set[str]:
    """Which parts of our own package a module imports."""
    ours = (name.split(".") for name in imports(module) if name.split(".")[0] == PACKAGE)
    parts = {name[1] if len(name) > 1 else "__init__" for name in ours}
    return {"version" if part == "__version__" else part for part in parts}


def public_definitions(body: list[ast.stmt]) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public_definitions(node.body)


def public_names(module: Module) -> set[str]:
    """What a module defines at its top level without an underscore."""
    names = {node.name for node in public_definitions(module.tree.body) if node in module.tree.body}
    for node in module.tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        names |= {target.id for target in targets if isinstance(target, ast.Name) and not target.id.startswith("_")}
    return names


def exported(module: Module) -> list[str] | None:
    for node in module.tree.body:
        if isinstance(node, ast.Assign) and [getattr(target, "id", "") for target in node.targets] == ["__all__"]:
            return list(ast.literal_eval(node.value))
    return None


def attributes(module: Module) -> set[str]:
    """Every `name.attribute` a module mentions."""
    return {
        f"{node.value.id}.{node.attr}"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }


def calls(module: Module) -> set[str]:
    """Every function called by its bare name."""
    return {getattr(node.func, "id", "") for node in ast.walk(module.tree) if isinstance(node, ast.Call)}


def defined(module: Module) -> set[str]:
    """Every name bound at a module's top level, imports under TYPE_CHECKING included."""
    names = {
        name.asname or name.name
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ImportFrom | ast.Import)
        for name in node.names
    }
    return names | public_names(module) | {"__version__"}


def test_the_package_was_found():
    assert {"chunking", "frames", "manifest", "source", "stores", "snapshot"} <= {module.part for module in MODULES}


def test_every_part_has_its_place_in_the_list():
    assert {module.part for module in MODULES} <= MAY_IMPORT.keys()


def test_imports_point_down_the_list():
    wrong = {
        module.path: upward
        for module in MODULES
        if (upward := parts_imported(module) - LEAVES - MAY_IMPORT.get(module.part, EVERYTHING))
    }
    assert wrong == {}


def test_leaves_import_nothing_but_leaves():
    assert {module.path for module in MODULES if module.part in LEAVES and parts_imported(module) - LEAVES} == set()


def test_pure_packages_do_no_io():
    wrong = {
        module.path: found
        for module in MODULES
        if module.part in PURE
        if (found := ({name.split(".")[0] for name in imports(module)} & IO_MODULES) | (calls(module) & {"open"}))
    }
    assert wrong == {}


def test_only_the_command_line_and_the_settings_read_argv_and_environment():
    wrong = {
        module.path: found
        for module in MODULES
        if module.part not in READS_ENVIRONMENT and module.path not in INHERITS_ENVIRONMENT | STANDS_IN_FOR_BOTO3
        if (found := (attributes(module) | set(imports(module))) & ARGV_AND_ENVIRONMENT)
    }
    assert wrong == {}


def test_no_module_is_long():
    lines = {module.path: module.lines for module in MODULES}
    print(f"{len(lines)} modules, median {statistics.median(lines.values()):g} lines, longest {max(lines.values())}")
    assert {path: count for path, count in lines.items() if count > MAX_LINES} == {}


def test_every_module_with_public_names_has_all():
    assert {module.path for module in MODULES if public_names(module) and exported(module) is None} == set()


def test_all_names_each_name_once_and_only_what_is_there():
    wrong = {
        module.path: names
        for module in MODULES
        if (names := exported(module) or [])
        if len(names) != len(set(names)) or not set(names) <= defined(module)
    }
    assert wrong == {}


def test_what_is_public_has_a_docstring():
    wrong = {
        module.path: missing
        for module in MODULES
        if (missing := [node.name for node in public_definitions(module.tree.body) if not ast.get_docstring(node)])
    }
    assert wrong == {}


def test_every_module_with_code_says_what_it_is_for():
    assert {m.path for m in MODULES if m.tree.body and not ast.get_docstring(m.tree)} == set()


def test_no_import_star():
    assert {module.path for module in MODULES if any(name.endswith(".*") for name in imports(module))} == set()


def test_the_library_imports_nothing_slow():
    code = "import sys, akosha_snap.api; print(*{'boto3', 'duckdb', 'httpx', 'numpy', 'rich'} & sys.modules.keys())"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []
