"""Conditions over a config's settings: a small language that compares and computes, and can do nothing else.

An expression is parsed into Python's syntax tree, of which only the nodes listed here are known; it is never compiled.
"""

from __future__ import annotations

import ast
import math
import operator
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from nnexp.errors import ConfigError

LONGEST = 1000  # characters; nobody writes more by hand, and a deep tree would end Python
CONSTANTS = {"true": True, "false": False, "null": None}  # as YAML and Hydra write them


def _power(a: float, b: float) -> float:
    """Return a to the power of b as floats: with integers, 9**9**9 would take for ever."""
    return math.pow(a, b)


ARITHMETIC: Mapping[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
}
COMPARISONS: Mapping[type[ast.AST], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}
SIGNS: Mapping[type[ast.AST], Callable[[Any], Any]] = {ast.USub: operator.neg, ast.UAdd: operator.pos}
LANGUAGE = "comparisons, in, and, or, not, + - * / // % **, lists, texts, numbers, true, false, null and settings"


class Settings:
    """A config's values by dotted path, or by a path's end where one setting alone ends so.

    Of several, the one that is swept is meant. A group is its choice's name.
    Args: plain: the config, resolved. axes: dotted paths of what is swept.
    """

    def __init__(self, plain: Mapping[str, Any], axes: Sequence[str] = ()) -> None:
        self.plain, self.axes = plain, axes

    def __getitem__(self, name: str) -> Any:
        """Return a value; LookupError says why there is none."""
        node: Any = self.plain
        for part in name.split("."):
            if not isinstance(node, Mapping) or part not in node:
                return self._by_end(name)
            node = node[part]
        return self._value(name, node)

    def _by_end(self, name: str) -> Any:
        leaves = dict(_leaves(self.plain))
        found = [path for path in leaves if path.endswith(f".{name}")]
        swept = [path for path in found if path in self.axes]
        if len(swept) == 1 or len(found) == 1:
            path = (swept if len(swept) == 1 else found)[0]
            return self._value(path, leaves[path])
        if found:
            raise LookupError(f"{name!r} may be any of: {', '.join(sorted(found))}")
        raise LookupError(self._missing(name, leaves))

    def _missing(self, name: str, leaves: Mapping[str, Any]) -> str:
        group, _, setting = name.rpartition(".")
        below = self.plain.get(group)
        if isinstance(below, Mapping):
            choice = f" ({below['name']})" if "name" in below else ""
            return f"{group}{choice} has no setting {setting!r}; guard it, as in: optimizer == 'adam' and beta1 < 0.9"
        ends = {path.rpartition(".")[2] for path in leaves}
        close = get_close_matches(name, sorted({*self.plain, *leaves, *ends}), 1)
        return f"there is no setting {name!r} here" + (f" (did you mean {close[0]}?)" if close else "")

    def _value(self, path: str, node: Any) -> Any:
        if isinstance(node, Mapping):
            if "name" not in node:
                raise LookupError(f"{path!r} is a group of settings, not a value")
            return node["name"]
        return [self._value(path, each) for each in node] if isinstance(node, list | tuple) else node


def _leaves(node: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        here = f"{path}.{key}" if path else str(key)
        if isinstance(value, Mapping):
            yield from _leaves(value, here)
        yield here, value


@dataclass(frozen=True)
class Condition:
    """An expression that holds of a config or does not.

    Attributes: where: the setting that has it, as messages call it. names: of the settings that it reads.
    """

    where: str
    text: str
    tree: ast.expr

    @property
    def names(self) -> set[str]:
        """The settings that it reads, as they are written."""
        return {name for node in ast.walk(self.tree) if (name := _dotted(node)) is not None}

    def holds(self, settings: Settings) -> bool:
        """Return whether it holds. Raises: ConfigError if it cannot be told."""
        try:
            return _truth(self.tree, settings)
        except LookupError as error:
            raise self._error(str(error.args[0])) from None
        except TypeError as error:
            raise self._error(str(error)) from None
        except ZeroDivisionError:
            raise self._error("it divides by zero") from None
        except (OverflowError, ValueError):
            raise self._error("a number in it is out of range") from None

    def _error(self, what: str) -> ConfigError:
        return ConfigError(f"{self.where} {self.text!r}: {what}")


def parse(where: str, text: str) -> Condition:
    """Return the condition that a text says.

    Raises: ConfigError if it is no expression, or has anything in it that the language does not know.
    """
    if len(text) > LONGEST:
        raise ConfigError(f"{where} must be at most {LONGEST} characters long, got {len(text)}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Python only warns of `1is 2` and '\d'
            tree = ast.parse(text.strip(), mode="eval").body
        _check(tree)
    except _UnknownError as error:
        raise ConfigError(f"{where} {text!r}: {error} is not understood; there are {LANGUAGE}") from None
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        why = error.msg if isinstance(error, SyntaxError) else "it cannot be read"
        raise ConfigError(f"{where} {text!r} is not an expression: {why}") from None
    return Condition(where, text.strip(), tree)


class _UnknownError(Exception):
    """A part of an expression that the language does not have."""


def _check(node: ast.expr) -> None:
    """Raise _UnknownError unless a tree is made of what is known."""
    known: Sequence[ast.AST] = ()
    below: Sequence[ast.expr] = ()
    match node:
        case ast.BoolOp(values=values):
            below = values
            constant = [each for each in values if isinstance(each, ast.Constant) and not isinstance(each.value, bool)]
            if constant:  # optimizer == 'sgd' or 'adam' would always hold
                raise _UnknownError(f"{_shown(constant[0])} between and, or")
        case ast.UnaryOp(op=ast.Not() | ast.USub() | ast.UAdd(), operand=operand):
            below = [operand]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in ARITHMETIC:
            below = [left, right]
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            known, below = ops, [left, *comparators]
        case ast.List(elts=elts) | ast.Tuple(elts=elts):
            below = elts
        case ast.Constant(value=str() | bool() | int() | float() | None):
            pass
        case _ if _dotted(node) is None:
            raise _UnknownError(_shown(node))
    if any(type(each) not in COMPARISONS for each in known):
        raise _UnknownError(_shown(node))
    for each in below:
        _check(each)


def _shown(node: ast.expr) -> str:
    text = ast.unparse(node)
    return f"`{text if len(text) <= 40 else text[:37] + '…'}`"


def _dotted(node: ast.AST) -> str | None:
    """Return the name that a tree of attributes stands for."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = _dotted(node.value)
        return None if before is None else f"{before}.{node.attr}"
    return None


def _truth(node: ast.expr, settings: Settings) -> bool:
    found = _value(node, settings)
    if not isinstance(found, bool):
        raise TypeError(f"{_shown(node)} must be true or false, got {found!r}")
    return found


def _value(node: ast.expr, settings: Settings) -> Any:
    match node:
        case ast.BoolOp(op=op, values=values):
            joined = all if isinstance(op, ast.And) else any  # the rest is not looked at once it is clear
            return joined(_truth(each, settings) for each in values)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not _truth(operand, settings)
        case ast.UnaryOp(op=op, operand=operand):
            return SIGNS[type(op)](_number(operand, settings))
        case ast.BinOp(left=left, op=op, right=right):
            return ARITHMETIC[type(op)](_number(left, settings), _number(right, settings))
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            return _compared(_value(left, settings), ops, comparators, settings)
        case ast.List(elts=elts) | ast.Tuple(elts=elts):
            return [_value(each, settings) for each in elts]
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name) if name in CONSTANTS:
            return CONSTANTS[name]
    return settings[_dotted(node) or ""]


def _number(node: ast.expr, settings: Settings) -> Any:
    found = _value(node, settings)
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise TypeError(f"{_shown(node)} must be a number, got {found!r}")
    return found


def _compared(left: Any, ops: Sequence[ast.cmpop], comparators: Sequence[ast.expr], settings: Settings) -> bool:
    for op, node in zip(ops, comparators, strict=True):
        right = _value(node, settings)
        try:
            held = COMPARISONS[type(op)](left, right)
        except TypeError:
            raise TypeError(f"{left!r} and {right!r} cannot be compared so") from None
        if not held:
            return False
        left = right
    return True
