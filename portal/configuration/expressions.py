"""Expressions over claims in the configuration: compiled and checked at load.

A rule that can never be true is a problem here, before it turns a person away.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Final

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions

from portal.errors import choices
from portal.rules.expressions import RAW, names_taken_for_objects

_TEXT_SECOND: Final = frozenset({"contains", "ends_with", "starts_with"})


def quoted(text: str) -> str:
    """Return *text* as a literal of JMESPath: a raw string, or a JSON literal if that cannot hold it."""
    if "'" not in text and "\\" not in text:
        return f"'{text}'"
    return "`" + json.dumps(text).replace("`", "\\u0060") + "`"


def problem_of_expression(expression: str) -> tuple[str, str] | None:
    """Return what is wrong with *expression* and how to fix it, or ``None``."""
    try:
        parsed = jmespath.compile(expression).parsed
    except JMESPathError as error:
        where = str(error).splitlines()[0].rstrip(".:")
        return f"is not JMESPath: {where}.", "See jmespath.org; text is in single quotes."
    for node in _nodes(parsed):
        problem = _problem_of_node(node)
        if problem is not None:
            return problem
    return None


def problem_of_names(expression: str) -> tuple[str, str] | None:
    """Return what is wrong with a sound *expression* that takes names for objects, and how to fix it, or ``None``."""
    names = names_taken_for_objects(expression)
    if names is None:
        return None
    listed, member = names
    return (
        f"reads {member} of each of {listed}, which are names: it is never true.",
        f"Write {RAW}.{listed} for what the provider sent, or {listed}_claim in [[providers]] if the type has it.",
    )


def _nodes(node: object) -> Iterator[Mapping[str, object]]:
    if isinstance(node, Mapping):
        yield node
        children = node.get("children", ())
        for child in children if isinstance(children, list | tuple) else ():
            yield from _nodes(child)


def _problem_of_node(node: Mapping[str, object]) -> tuple[str, str] | None:
    if node.get("type") == "field" and " " in str(node.get("value")):
        return _double_quotes(node)
    if node.get("type") != "function_expression":
        return None
    name, children = str(node.get("value")), node.get("children")
    if name not in Functions.FUNCTION_TABLE:
        return f"calls {name}, which is not a function of JMESPath.", choices(name, Functions.FUNCTION_TABLE)
    signature = Functions.FUNCTION_TABLE[name]["signature"]
    arguments = children if isinstance(children, list) else []
    if len(arguments) < len(signature) or (len(arguments) > len(signature) and not signature[-1].get("variadic")):
        return f"calls {name} with {len(arguments)} arguments.", f"It takes {len(signature)}."
    if name in _TEXT_SECOND and arguments[1].get("type") == "field":
        return _double_quotes(arguments[1])
    return None


def _double_quotes(node: Mapping[str, object]) -> tuple[str, str]:
    value = str(node.get("value"))
    # The most common mistake: in JMESPath double quotes name a claim, and the rule is silently never true.
    return f"compares with a claim called {value!r}.", f"Text is in single quotes: {quoted(value)}."
