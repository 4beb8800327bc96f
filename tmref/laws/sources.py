"""The code that a function was made by, for scripts: its source, and that of what it uses."""

from __future__ import annotations

import ast
import builtins
import cmath
import copyreg
import functools
import inspect
import itertools
import linecache
import math
import operator
import pickle
import symtable
import sys
import textwrap
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import torch

from ..printing import tensor_source

#: What prints as code.
_CONSTANTS = (
    *(bool, int, float, complex, str, bytes, type(None), type(...), range),
    *(torch.dtype, torch.Size, torch.layout, torch.memory_format),
)
#: What is longer is not written: so many numbers of a tensor, and letters of anything.
_NUMBERS, _LENGTH = 10_000, 50_000
#: Why a script ends where a name would have two meanings.
_TWO = "two things have the name {} here: rename one of them"


def code_of(value: Any, name: str, there: Mapping[str, Any] | None = None) -> tuple[str, ...]:
    """The lines after which ``name`` is the function, or whatever else: an import where it can be
    imported, else its source after what it uses, but for the names that are ``there``; where it has no
    code, a line that ends the script, and says so.
    """
    definitions = _Definitions(there or {})
    definitions.define(name, value)
    return tuple(definitions.lines)


def plain_code(value: Any) -> str | None:
    """The code of a number, a text, a tensor, or another constant of Python's or torch's; None for
    anything else."""
    kind = type(value)
    if kind is float and not math.isfinite(value):
        return f'float("{value}")'
    if kind is complex and not (cmath.isfinite(value) and value.real and value.imag):
        return f"complex({plain_code(value.real)}, {plain_code(value.imag)})"
    if kind is torch.device:
        return f'torch.device("{value}")'
    if kind in (torch.Tensor, torch.nn.Parameter) and value.numel() <= _NUMBERS:
        return _tensor_code(value)
    if kind not in _CONSTANTS or (kind in (str, bytes) and len(value) > _LENGTH):
        return None
    return repr(value)


def _tensor_code(tensor: torch.Tensor) -> str | None:
    is_parameter = isinstance(tensor, torch.nn.Parameter)
    try:
        code = tensor_source(tensor.detach() if is_parameter else tensor)
    except Exception:  # it is sparse, or of another kind that has no rows of numbers
        return None
    frozen = "" if tensor.requires_grad else ", requires_grad=False"
    if len(code) > _LENGTH:
        return None
    return f"torch.nn.Parameter({code}{frozen})" if is_parameter else code


def pickled(value: Any) -> str | None:
    """The code of an object by its pickle; None where it has none, or none that a script could read."""
    try:
        data = pickle.dumps(value)
        pickle.loads(data)
    except Exception:
        return None
    return None if b"__main__" in data else f"pickle.loads({data!r})"


class _NoCode(Exception):
    """A value can't be written as code; the message says why, where it is not the value itself."""


@dataclass
class _Definitions:
    """The ``lines`` that give names to values, each once."""

    there: Mapping[str, Any]
    lines: dict[str, None] = field(default_factory=dict)
    _named: dict[str, Any] = field(default_factory=dict)
    #: What names will be given to, which may stand for something else until then.
    _open: dict[str, Any] = field(default_factory=dict)
    #: The texts that sources are from, with what they import.
    _texts: dict[str, None] = field(default_factory=dict)

    def define(self, name: str, value: Any) -> None:
        """Add the lines that give the name to the value; where it has no code, one that says so."""
        if name in self.there and self.there[name] is value:
            return
        if name in self._named and _is_same(self._named[name], value):
            return
        if name in self._named and name not in self._open:
            self._end(_TWO.format(name))
            return
        self._named[name] = value
        is_first = self._open.setdefault(name, value) is value
        try:
            line = _import_of(name, value)
            if line is None and (code := self._code(name, value)) != name:
                line = f"{name} = {code}"
        except Exception as error:  # a list may be in itself, and what is asked of an object may raise
            kind = "class" if isinstance(value, type) else type(value).__name__
            why = str(error) if isinstance(error, _NoCode) else ""
            self._end(why or f"{name} is a {kind} that can't be written as code: define it here")
        else:
            if line is not None:
                self.lines[line] = None
        if is_first:
            self._named[name] = self._open.pop(name)

    def _end(self, why: str) -> None:
        self.lines[f"raise NotImplementedError({why!r})"] = None

    def _code(self, name: str, value: Any) -> str:
        """The expression of a value, after the lines for what it uses; they may give the ``name`` to it,
        which is the expression then. Raises _NoCode where it has none."""
        if (plain := plain_code(value)) is not None:
            if "torch." in plain:
                self.define("torch", torch)
            return plain
        if (path := self._imported(value)) is not None:
            return path
        if type(value) in (list, tuple, dict, set, frozenset, OrderedDict):
            return self._collection(name, value)
        if type(value) is functools.partial:
            return self._partial(name, value)
        if isinstance(value, MethodType):
            if getattr(value.__self__, value.__name__, None) != value:
                raise _NoCode
            return f"{self._code(f'{name}_self', value.__self__)}.{value.__name__}"
        if (found := _source(value)) is not None:
            return self._defined(name, value, *found)
        return self._object(name, value)

    def _imported(self, value: Any) -> str | None:
        """The path of what can be imported, after the import."""
        if isinstance(value, ModuleType):
            path = value.__name__.rpartition(".")[2]
            self.define(path, value)
            return path
        if (home := _home(value)) is None:
            return None
        module, path = home
        if module != "builtins":
            first = path.partition(".")[0]
            self.define(first, getattr(sys.modules[module], first))
        return path

    def _collection(self, name: str, value: Any) -> str:
        def code(part: Any, i: int) -> str:
            return self._code(f"{name}_{i}", part)

        if len(value) > _NUMBERS:
            raise _NoCode
        if isinstance(value, dict):
            pairs = (f"{code(k, i)}: {code(v, i)}" for i, (k, v) in enumerate(value.items()))
            written = f"{{{', '.join(pairs)}}}"
        else:
            items = ", ".join(code(item, i) for i, item in enumerate(value))
            comma = "," if len(value) == 1 else ""
            written = f"({items}{comma})" if isinstance(value, tuple) else f"[{items}]"
        if type(value) is set and value:
            return f"{{{items}}}"
        is_literal = type(value) in (list, tuple, dict)
        return written if is_literal else f"{self._code(name, type(value))}({written})"

    def _partial(self, name: str, value: functools.partial[Any]) -> str:
        self.define("functools", functools)
        arguments = [self._code(f"{name}_function", value.func)]
        arguments += [self._code(f"{name}_{i}", item) for i, item in enumerate(value.args)]
        arguments += [f"{key}={self._code(f'{name}_{key}', v)}" for key, v in value.keywords.items()]
        return f"functools.partial({', '.join(arguments)})"

    def _defined(self, name: str, value: Any, source: str, origin: Any) -> str:
        """The name of a function or class, after its source; of a lambda the source itself."""
        own = _own_name(origin)
        is_lambda = own == "<lambda>"
        if not is_lambda and own != name:
            self.define(own, value)
            return own
        functions = _functions_of(origin) if isinstance(origin, type) else [origin]
        self._texts.update(dict.fromkeys(map(_text, functions)))
        for used, what in _used(source, origin).items():
            self.define(used, what)
            if not _is_same(self._open.get(used, what), what):  # as in build = lambda x: build(x, 3)
                if not is_lambda:
                    raise _NoCode(_TWO.format(used))
                source = f"(lambda {used}: {source})({used})"
        if is_lambda:
            return source
        self.lines[source] = None
        return name

    def _object(self, name: str, value: Any) -> str:
        """The code of an object that has no source: an import, a pickle, or what makes it anew."""
        for node in itertools.chain(*map(_nodes, self._texts)):
            if isinstance(node, ast.ImportFrom) and (line := _import_in(node, name, value)) is not None:
                self.lines[line] = None
                return name
        if (code := pickled(value)) is None:
            return self._made_anew(name, value)
        if len(code) > _LENGTH:
            raise _NoCode
        self.define("pickle", pickle)
        if isinstance(value, torch.ScriptObject) and ".metatensor." in str(value._type()):
            self.lines["import metatensor.torch"] = None  # torch knows its classes from then on
        return code

    def _made_anew(self, name: str, value: Any) -> str:
        """The name of an object, after the lines that make it as its copy is made."""
        make, given, state, *items = (*value.__reduce_ex__(2), *[None] * 3)[:5]
        if (
            items != [None, None]
            or not isinstance(state, dict | None)
            or isinstance(value, torch.Tensor)
        ):
            raise _NoCode
        arguments = [self._code(f"{name}_{i}", item) for i, item in enumerate(given)]
        is_new = make is copyreg.__newobj__  # type: ignore[attr-defined]
        made_by = f"{arguments[0]}.__new__" if is_new else self._code(f"{name}_class", make)
        lines = [f"{name} = {made_by}({', '.join(arguments)})"]
        if state:
            set_state = (
                f"{name}.__setstate__" if hasattr(value, "__setstate__") else f"vars({name}).update"
            )
            lines.append(f"{set_state}({self._code(f'{name}_state', state)})")
        self.lines.update(dict.fromkeys(lines))
        return name


def _is_same(one: Any, other: Any) -> bool:
    code = plain_code(one)
    return one is other or (code is not None and code == plain_code(other))


def _import_of(name: str, value: Any) -> str | None:
    """The line that imports a value under a name, where there is one."""
    if isinstance(value, ModuleType):
        parent, _, last = value.__name__.rpartition(".")
        line = f"from {parent} import {last}" if parent else f"import {last}"
        return line if last == name else f"{line} as {name}"
    module, path = _home(value) or ("", ".")
    if "." in path:
        return None
    return f"from {module} import {path}" + ("" if path == name else f" as {name}")


def _import_in(node: ast.ImportFrom, name: str, value: Any) -> str | None:
    """The line by which an import statement gives the name to the value, where it does."""
    module = sys.modules.get(node.module or "") if not node.level else None
    for alias in node.names:
        if (alias.asname or alias.name) == name and getattr(module, alias.name, None) is value:
            return ast.unparse(ast.ImportFrom(node.module, [alias], 0))
    return None


def _home(value: Any) -> tuple[str, str] | None:
    """The module that a function or class can be imported from, and its path in there."""
    module = getattr(value, "__module__", None)
    if module == "__main__" or not isinstance(module, str) or module not in sys.modules:
        return None
    for path in (getattr(value, "__qualname__", None), getattr(value, "__name__", None)):
        try:
            if isinstance(path, str) and operator.attrgetter(path)(sys.modules[module]) is value:
                return module, path
        except AttributeError:
            continue
    return None


def _source(value: Any) -> tuple[str, Any] | None:
    """The source of a function or a class, and the function in it, where decorators have wrapped it;
    None where there is none."""
    if isinstance(value, type):
        source = _source_of_class(value)
        return None if source is None else (source, value)
    inner = inspect.unwrap(value) if callable(value) else value
    if inner is not value and isinstance(inner, FunctionType):
        source = _source_of_function(inner, decorated=True)
        if source is not None and source.startswith("@") and not _unknown(source, inner):
            return source, inner
    source = _source_of_function(value) if isinstance(value, FunctionType) else None
    return None if source is None else (source, value)


def _own_name(value: Any) -> str:
    """The name of a function or class in its source, whatever it was called since."""
    return str(value.__code__.co_name if isinstance(value, FunctionType) else value.__name__)


def _source_of_function(function: FunctionType, *, decorated: bool = False) -> str | None:
    """Its own source, with its decorators or without them: what it is itself is not decorated."""
    code = function.__code__
    text = _text(function)
    if code.co_name == "<lambda>":
        return _source_of_lambda(code, text)
    for node in _nodes(text):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == code.co_name:
            first = _first_line(node)
            if first == code.co_firstlineno:
                return _lines_of(node, text, first if decorated else node.lineno)
    return None


def _source_of_class(cls: type) -> str | None:
    """The class around its methods; where it has none, what Python finds by its name."""
    for function in _functions_of(cls):
        text, line = _text(function), function.__code__.co_firstlineno
        found = [n for n in _nodes(text) if isinstance(n, ast.ClassDef) and n.name == cls.__name__]
        found = [n for n in found if n.lineno < line <= (n.end_lineno or 0) or n.lineno == line]
        if found:
            return _lines_of(found[-1], text, _first_line(found[-1]))
    try:
        source = textwrap.dedent(inspect.getsource(cls)).rstrip()
        return source if isinstance(ast.parse(source).body[0], ast.ClassDef) else None
    except (OSError, TypeError, SyntaxError):
        return None


def _functions_of(cls: type) -> Iterator[FunctionType]:
    """The functions that stand in a class, properties and static methods among them."""
    for member in vars(cls).values():
        for of in ("__func__", "fget", "func"):
            function = inspect.unwrap(getattr(member, of, member))
            if isinstance(function, FunctionType) and function.__module__ == cls.__module__:
                yield function
                break


def _text(function: FunctionType) -> str:
    """What Python has of the file, or the cell, that a function is from."""
    return "".join(linecache.getlines(function.__code__.co_filename, function.__globals__))


@functools.lru_cache(maxsize=8)
def _nodes(text: str) -> tuple[ast.AST, ...]:
    try:
        return tuple(ast.walk(ast.parse(text)))
    except SyntaxError:
        return ()


def _first_line(node: Any) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def _lines_of(node: Any, text: str, first: int) -> str | None:
    """The source of a function or class from its first line; None where it can't stand alone."""
    lines = "\n".join(text.split("\n")[first - 1 : node.end_lineno])
    without = 0 if first < node.lineno else len(node.decorator_list)
    # strings over lines may begin further left than the rest of them
    for source in (textwrap.dedent(lines), "\n".join(ast.unparse(node).split("\n")[without:])):
        try:
            compile(source, "<source>", "exec", dont_inherit=True)
        except SyntaxError:
            continue
        return source.rstrip()
    return None


def _source_of_lambda(code: CodeType, text: str) -> str | None:
    """The expression alone: what stands around it in its lines may be anything."""
    found = [n for n in _nodes(text) if isinstance(n, ast.Lambda) and n.lineno == code.co_firstlineno]
    if len(found) > 1 and hasattr(code, "co_positions"):  # since Python 3.11
        where = [(line, column) for line, _, column, _ in code.co_positions() if column]
        found = [n for n in found if all(_is_in(n.body, place) for place in where)]
        # the innermost: one around it has its place, too
        found = sorted(found, key=lambda n: n.col_offset)[-1:]
    return ast.unparse(found[0]) if len(found) == 1 else None


def _is_in(node: ast.expr, place: tuple[int | None, int]) -> bool:
    end = (node.end_lineno or 0, node.end_col_offset or 0)
    return (node.lineno, node.col_offset) <= (place[0] or 0, place[1]) < end


def _used(source: str, value: Any) -> dict[str, Any]:
    """What the names in the source of a function or a class stand for, but those of Python's own."""
    known = _known(source, value)
    return {name: known[name] for name in _names(source) if name in known and name != "__name__"}


def _unknown(source: str, value: Any) -> list[str]:
    """The names in a source that nobody knows: of decorators that were made in another function."""
    known = {**vars(builtins), **_known(source, value)}
    return [name for name in _names(source) if name not in known]


def _known(source: str, value: Any) -> dict[str, Any]:
    """What all names around a function or a class stand for."""
    functions = list(_functions_of(value)) if isinstance(value, type) else [value]
    known = dict(vars(sys.modules[value.__module__])) if value.__module__ in sys.modules else {}
    for function in functions:
        known.update(function.__globals__)
    if isinstance(value, type):
        known.update(_bases(source, value, known))
    for function in functions:
        known.update(_closed_over(function))
    return known


def _bases(source: str, cls: type, known: Mapping[str, Any]) -> dict[str, type]:
    """The bases of a class by their names in its source."""
    (node,) = ast.parse(source).body
    assert isinstance(node, ast.ClassDef)
    names = [base.id if isinstance(base, ast.Name) else "" for base in node.bases]
    pairs = zip(names, cls.__bases__, strict=False)
    # a function may stand for a base, as typing.NamedTuple does
    return {name: base for name, base in pairs if isinstance(known.get(name, base), type)}


def _closed_over(function: FunctionType) -> Iterator[tuple[str, Any]]:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # it is empty yet
            continue


def _names(source: str) -> dict[str, None]:
    """The names in a source that it gives no meaning itself."""
    table = symtable.symtable(source, "<source>", "exec")
    outer = [s for s in table.get_symbols() if s.is_referenced() and not s.is_assigned()]
    inner = itertools.chain(*map(_global_symbols, table.get_children()))
    return dict.fromkeys(symbol.get_name() for symbol in (*outer, *inner))


def _global_symbols(table: symtable.SymbolTable) -> Iterator[symtable.Symbol]:
    yield from (s for s in table.get_symbols() if s.is_referenced() and s.is_global())
    for inner in table.get_children():
        yield from _global_symbols(inner)
