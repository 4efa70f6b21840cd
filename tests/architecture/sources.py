"""The project's own modules as data: names, syntax trees, and who imports whom."""

import ast
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Module:
    """One source file."""

    name: str
    path: Path

    def __str__(self) -> str:
        return self.name

    @property
    def tree(self) -> ast.Module:
        return _parsed(self.path)


@cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


@cache
def modules_of(package: str) -> tuple[Module, ...]:
    """Return the modules of *package*, which may be a single file."""
    single = ROOT / f"{package}.py"
    files = [single] if single.is_file() else sorted((ROOT / package).rglob("*.py"))
    return tuple(Module(_name(path), path) for path in files)


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def all_names() -> frozenset[str]:
    return frozenset(module.name for package in ("portal", "gradio_apps", "wsgi") for module in modules_of(package))


@cache
def imports_of(module: Module, *, inside_functions: bool | None = None) -> tuple[tuple[str, ast.stmt], ...]:
    """Return what *module* imports: everything, or only what stands inside functions, or only what does not."""
    inner = {
        id(node)
        for function in ast.walk(module.tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for node in ast.walk(function)
    }
    return tuple(
        (name, node)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        and (inside_functions is None or (id(node) in inner) is inside_functions)
        for name in _names(module, node)
    )


def _names(module: Module, node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    assert node.level == 0, f"{module.path}:{node.lineno}: a relative import"
    assert node.module is not None
    for alias in node.names:
        inner = f"{node.module}.{alias.name}"
        yield inner if inner in all_names() else node.module


def own_imports(module: Module, *, inside_functions: bool | None = None) -> frozenset[str]:
    """Return the project's own modules among what *module* imports."""
    names = {name for name, _ in imports_of(module, inside_functions=inside_functions)}
    return frozenset(name for name in names if name.split(".")[0] in {"portal", "gradio_apps", "wsgi", "tests"})


def third_party(module: Module) -> frozenset[str]:
    """Return the top-level names of other people's packages among what *module* imports."""
    tops = {name.split(".")[0] for name, _ in imports_of(module)}
    return frozenset(tops - set(sys.stdlib_module_names) - {"portal", "gradio_apps", "wsgi", "tests"})


def of_each(modules: Sequence[Module]) -> Callable[[Callable[[Module], None]], Callable[[], None]]:
    """Make one test of a rule for a module: it holds of all of *modules*, or says of which it does not.

    One test for each of hundreds of modules and a dozen rules would be thousands, of a moment each.
    """

    def test_of(rule: Callable[[Module], None]) -> Callable[[], None]:
        def test() -> None:
            broken = []
            for module in modules:
                try:
                    rule(module)
                except AssertionError as error:
                    broken.append(f"{module}: {error}")
            assert not broken, "\n".join(broken)

        test.__doc__ = rule.__doc__
        return test

    return test_of
