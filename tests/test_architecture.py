"""The shape of the project: which way imports point, what the app's own process may load, and sizes."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LAYERS = [
    "errors",
    "markdown",
    "threads",
    "types",
    "registry",
    "workspace",
    "statistics",
    "label_task",
    "data",
    "layers",
    "backbones",
    "features",
    "zero_shot",
    "plan",
    "strategies",
    "penalties",
    "advice",
    "runnable",
    "runs",
    "background",
    "import_jobs",
    "import_worker",
    "fetch_jobs",
    "fetch_worker",
    "training",
    "evaluation",
    "export",
    "jobs",
    "cli",
    "worker",
    "serve",
    "__main__",
]
HEAVY = {"torch", "torchvision", "timm", "transformers", "sklearn", "datasets", "peft"}
CORE = sorted((ROOT / "tl_core").rglob("*.py"))
FRONT = [ROOT / "app.py", *sorted((ROOT / "ui").rglob("*.py")), *sorted((ROOT / "pages").rglob("*.py"))]


def imported(path: Path) -> list[str]:
    """Return every module name that a file imports, at any depth of its syntax tree."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno} imports relatively"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def layer(module: str) -> int:
    """Return how far down the way of the data a tl_core module stands."""
    return LAYERS.index(module.split(".")[1])


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", CORE, ids=relative)
def test_an_import_points_only_to_what_stands_before(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    if parts == ("tl_core", "__init__"):
        return
    mine = LAYERS.index(parts[1])
    for name in imported(path):
        assert name.split(".")[0] not in {"streamlit", "ui", "pages", "app"}, f"{relative(path)} imports {name}"
        if name.startswith("tl_core."):
            assert layer(name) <= mine, f"{relative(path)} imports {name}, which stands after it"


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def cycles(imports: dict[str, set[str]]) -> list[list[str]]:
    """Return the groups of modules that reach each other: the strongly connected components of two or more."""
    reach = {name: set(targets) for name, targets in imports.items()}
    for middle in reach:  # Warshall 1962, A theorem on Boolean matrices, doi:10.1145/321105.321107
        for name in reach:
            if middle in reach[name]:
                reach[name] |= reach[middle]
    groups = {tuple(sorted(b for b in reach[a] if a in reach[b])) for a in reach if a in reach[a]}
    return [list(group) for group in sorted(groups)]


def test_no_module_imports_itself_by_way_of_others():
    """Inside a package too: `TYPE_CHECKING` and imports inside functions are arrows like any other."""
    modules = {module_name(path): path for path in CORE + FRONT}
    imports: dict[str, set[str]] = {name: set() for name in modules}
    for name, path in modules.items():
        for imported_name in imported(path):
            # `from a import b` names the module a.b where there is one, else something that a holds
            target = imported_name if imported_name in modules else imported_name.rpartition(".")[0]
            if target in modules and target != name:
                imports[name].add(target)
    assert cycles(imports) == []


def test_a_cycle_is_found():
    assert cycles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}, "e": set()}) == [["a", "b", "c"]]


@pytest.mark.parametrize("path", FRONT, ids=relative)
def test_the_app_imports_no_machine_learning(path):
    heavy = {name for name in imported(path) if name.split(".")[0] in HEAVY}
    assert not heavy, f"{relative(path)} imports {heavy}"
    if path.parent.name != "pages":
        assert not any(name.split(".")[0] == "pages" for name in imported(path))


def test_the_apps_process_never_loads_torch():
    modules = [relative(p)[:-3].replace("/", ".").removesuffix(".__init__") for p in FRONT if "pages" not in p.parts]
    needed = {
        name.rpartition(".")[0]
        for p in FRONT
        if "pages" in p.parts
        for name in imported(p)
        if name.startswith("tl_core.")
    }
    code = (
        "import importlib, sys\n"
        f"for name in {sorted((set(modules) - {'app', 'ui.shell'}) | needed)}: importlib.import_module(name)\n"
        f"sys.exit(', '.join(sorted({HEAVY} & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", CORE + FRONT, ids=relative)
def test_sizes_stay_within_budget(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") < (150 if path.parent.name == "pages" else 400), "the file's idea wants splitting"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            named = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
            arguments = [a.arg for a in named if a.arg not in ("self", "cls")]
            assert node.end_lineno - node.lineno < 80, f"{node.name} is too long"
            assert len(arguments) <= 6, f"{node.name} has {len(arguments)} arguments"


def test_every_core_module_says_what_it_is():
    silent = [relative(p) for p in CORE if p.read_text().strip() and not ast.get_docstring(ast.parse(p.read_text()))]
    assert not silent
