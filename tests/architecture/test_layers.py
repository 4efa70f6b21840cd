"""The layers of ``docs/architecture.md``: who may import whom."""

import ast

from tests.architecture.sources import Module, all_names, imports_of, modules_of, of_each, own_imports, third_party

LAYERS: dict[str, int] = {
    # L0: the contract between the two sides, and time
    "portal": 0,
    "portal.contract": 0,
    "portal.clock": 0,
    # L1: pure; what decides
    "portal.admission": 1,
    "portal.allowance": 1,
    "portal.arriving": 1,
    "portal.browser_features": 1,
    "portal.catalogue": 1,
    "portal.claims": 1,
    "portal.configuration": 1,
    "portal.errors": 1,
    "portal.explain": 1,
    "portal.front": 1,
    "portal.identity": 1,
    "portal.policy": 1,
    "portal.presets": 1,
    "portal.redirects": 1,
    "portal.sealing": 1,
    "portal.settings": 1,
    "portal.wanted_claims": 1,
    # L2: what talks to stores and providers
    "portal.access_tokens": 2,
    "portal.app_credentials": 2,
    "portal.app_sessions": 2,
    "portal.attempts": 2,
    "portal.audit": 2,
    "portal.backups": 2,
    "portal.database": 2,
    "portal.doctor": 2,
    "portal.endings": 2,
    "portal.hook": 2,
    "portal.judgement": 2,
    "portal.keys": 2,
    "portal.limits": 2,
    "portal.metrics": 2,
    "portal.migrations": 2,
    "portal.outbox": 2,
    "portal.outgoing": 2,
    "portal.private_files": 2,
    "portal.probe_tokens": 2,
    "portal.providers": 2,
    "portal.pushing": 2,
    "portal.resealing": 2,
    "portal.restoring": 2,
    "portal.retention": 2,
    "portal.running": 2,
    "portal.services": 2,
    "portal.shared_counters": 2,
    "portal.session_store": 2,
    "portal.sessions": 2,
    "portal.sign_ins": 2,
    "portal.sqlite_files": 2,
    "portal.stored_identity": 2,
    "portal.supervisor": 2,
    "portal.tables": 2,
    "portal.tickets": 2,
    # L3: what speaks to browsers and apps
    "portal.views": 3,
    # L4: what puts it together
    "portal.app": 4,
    "portal.cli": 4,
    "portal.demo": 4,
    "portal.server": 4,
    "portal.wsgi": 4,
    "wsgi": 4,
}
"""The layer of each module and of everything below it; the longest name counts."""

THIRD_PARTY: dict[int, frozenset[str]] = {
    0: frozenset({"joserfc"}),
    1: frozenset({"cryptography", "dotenv", "jmespath"}),
    2: frozenset(
        {
            "alembic",
            "authlib",
            "flask",
            "flask_limiter",
            "flask_session",
            "httpx",
            "joserfc",
            "limits",
            "prometheus_client",
            "requests",
            "sqlalchemy",
            "urllib3",
        }
    ),
    3: frozenset({"flask", "httpx", "werkzeug"}),
    4: frozenset({"authlib", "flask", "gunicorn", "jinja2", "joserfc", "packaging", "werkzeug"}),
}
"""Other people's packages a layer may use of its own; a package that is not here asks for a reason."""

ONLY_IN: dict[str, tuple[str, ...]] = {
    "alembic": ("portal.database", "portal.migrations"),
    "authlib": ("portal.providers", "portal.demo"),
    "dotenv": ("portal.configuration.environment",),
    "flask_limiter": ("portal.limits",),
    "flask_session": ("portal.session_store", "portal.sessions"),
    "gunicorn": ("portal.demo", "portal.server"),
    "limits": ("portal.shared_counters",),
    "packaging": ("portal.cli.environment_plan",),
    "jmespath": ("portal.claims.expressions", "portal.configuration.expressions"),
    "prometheus_client": ("portal.metrics",),
    "requests": ("portal.providers",),
    "urllib3": ("portal.providers",),
}
"""Packages that one place of the portal knows, so that they can be changed in one place."""

FREE_OF_GRADIO = ("gradio_apps.runtime.guard", "gradio_apps.runtime.supervisor")

LATE_IMPORTS: dict[str, str] = {
    "portal.cli": "a command loads what it needs and no more, so that --help and errors are there at once",
    "gradio_apps.runtime.host": "Gradio and the author's code load when somebody needs them",
    "gradio_apps.serve": "the guard answers before Gradio is loaded",
}
"""Where an import may stand inside a function, and why; never to dodge a cycle."""

PORTAL = (*modules_of("portal"), *modules_of("wsgi"))
APPS = modules_of("gradio_apps")


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def layer_of(name: str) -> int:
    known = [package for package in LAYERS if within(name, package) and package != "portal"]
    if name == "portal":
        return LAYERS[name]
    assert known, f"{name} has no layer: give it one in {__name__}"
    return LAYERS[max(known, key=len)]


def test_the_table_names_nothing_that_is_not_there() -> None:
    assert {name for name in LAYERS if name not in all_names()} == set()


@of_each(PORTAL)
def test_a_module_imports_from_its_own_layer_and_those_below(module: Module) -> None:
    above = {name for name in own_imports(module) if layer_of(name) > layer_of(module.name)}

    assert above == set()


@of_each(PORTAL)
def test_the_portal_never_imports_the_apps(module: Module) -> None:
    assert {name for name in own_imports(module) if within(name, "gradio_apps") or within(name, "tests")} == set()


@of_each(APPS)
def test_the_apps_share_only_the_contract_with_the_portal(module: Module) -> None:
    """An app's process knows the shape of a ticket, and nothing else of the portal."""
    foreign = {name for name in own_imports(module) if not within(name, "gradio_apps")}

    assert {name for name in foreign if not within(name, "portal.contract")} == set()


@of_each(PORTAL)
def test_a_layer_uses_the_packages_it_is_for(module: Module) -> None:
    assert third_party(module) <= THIRD_PARTY[layer_of(module.name)]


@of_each(PORTAL)
def test_packages_that_one_place_knows_stay_there(module: Module) -> None:
    strays = {
        package
        for package, places in ONLY_IN.items()
        if package in third_party(module) and not any(within(module.name, place) for place in places)
    }

    assert strays == set()


@of_each([one for one in APPS if any(within(one.name, package) for package in FREE_OF_GRADIO)])
def test_guard_and_supervisor_know_no_gradio(module: Module) -> None:
    assert third_party(module).isdisjoint({"gradio", "gradio_client", "fastapi", "flask"})


@of_each([one for one in APPS if within(one.name, "gradio_apps.runtime.supervisor")])
def test_the_supervisor_is_not_the_guard_nor_the_host(module: Module) -> None:
    """It stays small and starts at once: theirs are a web framework, an HTTP client and a parser of bodies."""
    theirs = ("gradio_apps.runtime.guard", "gradio_apps.runtime.host")
    assert {name for name in own_imports(module) if any(within(name, one) for one in theirs)} == set()


@of_each((*PORTAL, *APPS))
def test_imports_stand_at_the_top(module: Module) -> None:
    if any(within(module.name, place) for place in LATE_IMPORTS):
        return
    late = [f"{name} in line {node.lineno}" for name, node in imports_of(module, inside_functions=True)]

    assert late == []


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = {module.name: own_imports(module, inside_functions=False) & all_names() for module in (*PORTAL, *APPS)}
    done: set[str] = set()

    def follow(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " → ".join((*path[path.index(name) :], name))
        if name not in done:
            for other in sorted(graph[name] - {name}):
                # A module may import a neighbour through their common package.
                if not within(name, other):
                    follow(other, (*path, name))
            done.add(name)

    for name in sorted(graph):
        follow(name, ())


@of_each((*PORTAL, *APPS))
def test_every_folder_of_modules_is_a_package(module: Module) -> None:
    assert module.name == "wsgi" or (module.path.parent / "__init__.py").is_file()


@of_each((*PORTAL, *APPS))
def test_every_module_says_what_it_is(module: Module) -> None:
    assert ast.get_docstring(module.tree)
