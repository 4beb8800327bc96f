"""The small changes: each operator says what a node of the syntax tree may become.

An operator is a generator of replacements for one node. :func:`changes` applies all of them to a source,
where a change can matter: not in docstrings, annotations, decorators, what only error messages are made
of, and what only prints.
"""

from __future__ import annotations

import ast
import builtins
import copy
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import CodeType

Steps = tuple[tuple[str, "int | None"], ...]
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class Place:
    """Where a node stands: the nodes above it, nearest last, and the ``slot`` of that one."""

    slot: str = ""
    above: list[ast.AST] = field(default_factory=list)

    @property
    def function(self) -> Function | None:
        """The function that it is in."""
        inside = [node for node in self.above if isinstance(node, Function)]
        return inside[-1] if inside else None


Operator = Callable[[ast.AST, Place], Iterator[ast.AST]]
OPERATORS: dict[str, Operator] = {}


def operator(of: Operator) -> Operator:
    """Register an operator under its name."""
    OPERATORS[of.__name__.replace("_", " ")] = of
    return of


_OPPOSITE: dict[type, type] = {
    ast.Eq: ast.NotEq,
    ast.Lt: ast.GtE,
    ast.Gt: ast.LtE,
    ast.Is: ast.IsNot,
    ast.In: ast.NotIn,
}
_OPPOSITE |= {after: before for before, after in _OPPOSITE.items()}
_BOUNDARY: dict[type, type] = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}
_ARITHMETIC: dict[type, type] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}


def _with_comparisons(node: ast.AST, table: dict[type, type]) -> Iterator[ast.AST]:
    if isinstance(node, ast.Compare):
        for i, op in enumerate(node.ops):
            if type(op) in table:
                ops = [*node.ops[:i], table[type(op)](), *node.ops[i + 1 :]]
                yield ast.Compare(node.left, ops, node.comparators)


@operator
def comparison_replaced(node: ast.AST, place: Place) -> Iterator[ast.AST]:
    """a == b by a != b, a < b by a >= b, and so on."""
    yield from _with_comparisons(node, _OPPOSITE)


@operator
def boundary_moved(node: ast.AST, place: Place) -> Iterator[ast.AST]:
    """a < b by a <= b, and so on."""
    yield from _with_comparisons(node, _BOUNDARY)


@operator
def arithmetic_replaced(node: ast.AST, place: Place) -> Iterator[ast.AST]:
    """a + b by a - b, a * b by a / b, a & b by a | b, -a by a, and so on."""
    if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        yield ast.BinOp(node.left, _ARITHMETIC[type(node.op)](), node.right)
    if isinstance(node, ast.AugAssign) and type(node.op) in _ARITHMETIC:
        yield ast.AugAssign(node.target, _ARITHMETIC[type(node.op)](), node.value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield node.operand


@operator
def constant_changed(node: ast.AST, place: Place) -> Iterator[ast.AST]:
    """True by False, n by n + 1, x by 10 x, "name" by "name_"."""
    if isinstance(node, ast.Constant) and place.slot not in ("defaults", "kw_defaults"):
        yield from _other_constants(node.value)


def _other_constants(value: object) -> Iterator[ast.AST]:
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int):
        yield ast.Constant(value + 1)
    elif isinstance(value, float):
        yield ast.Constant(value * 10 if value else 1.0)
    elif isinstance(value, str):
        yield ast.Constant(value + "_")


@operator
def default_changed(node: ast.AST, place: Place) -> Iterator[ast.AST]:
    """The default of a parameter: as constants are, and None by False."""
    if isinstance(node, ast.Constant) and place.slot in ("defaults", "kw_defaults"):
        yield from [ast.Constant(False)] if node.value is None else _other_constants(node.value)


@operator
def boolean_replaced(node: ast.AST, place: Place) -> Iterator[ast.AST]:
    """a and b by a or b, by a, and by b; not a by a."""
    if isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
        for i in range(len(node.values)):
            rest = [*node.values[:i], *node.values[i + 1 :]]
            yield ast.BoolOp(node.op, rest) if len(rest) > 1 else rest[0]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield node.operand


@operator
def condition_forced(node: ast.AST, place: Place) -> Iterator[ast.AST]:
    """What is asked for by ``if`` is always so, or never."""
    for forced in (True, False):
        if isinstance(node, ast.If):
            yield ast.If(ast.Constant(forced), node.body, node.orelse)
        elif isinstance(node, ast.IfExp):
            yield node.body if forced else node.orelse
        elif isinstance(node, ast.comprehension) and node.ifs:
            yield ast.comprehension(node.target, node.iter, [ast.Constant(forced)], node.is_async)
    if isinstance(node, ast.While):
        yield ast.While(ast.Constant(False), node.body, node.orelse)


@operator
def statement_dropped(node: ast.AST, place: Place) -> Iterator[ast.AST]:
    """A statement that the code after it can do without: names stay bound to something."""
    if isinstance(node, ast.Assign):
        dropped = all(_is_bound_without(node, target, place.function) for target in node.targets)
    elif isinstance(node, ast.Return):
        dropped = place.function is not None and place.function.body[-1] is not node
    else:
        kinds = (
            ast.Expr,
            ast.AugAssign,
            ast.Raise,
            ast.Delete,
            ast.Assert,
            ast.For,
            ast.Continue,
            ast.Break,
        )
        dropped = isinstance(node, kinds)
    if dropped:
        yield ast.Pass()


def _is_bound_without(statement: ast.Assign, target: ast.AST, function: Function | None) -> bool:
    """Whether there is something under the name of the target when the statement is left out."""
    if isinstance(target, (ast.Attribute, ast.Subscript)):
        return True
    if isinstance(target, ast.Tuple):
        return all(_is_bound_without(statement, item, function) for item in target.elts)
    if not isinstance(target, ast.Name) or function is None:
        return False
    others = {argument.arg for argument in ast.walk(function.args) if isinstance(argument, ast.arg)}
    for node in ast.walk(function):
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node is not statement:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            others |= {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)}
    return target.id in others


@operator
def argument_dropped(node: ast.AST, place: Place) -> Iterator[ast.AST]:
    """The last argument of a call, or one of its keywords, left out; not where nobody can do without."""
    if isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if hasattr(builtins, name):
            needed = 2 if name == "getattr" else len(node.args)
        else:
            needed = 0 if name[:1].isupper() else 1
        if len(node.args) > needed:
            yield ast.Call(node.func, node.args[:-1], node.keywords)
        for i in range(len(node.keywords)):
            yield ast.Call(node.func, node.args, [*node.keywords[:i], *node.keywords[i + 1 :]])


@operator
def return_replaced(node: ast.AST, place: Place) -> Iterator[ast.AST]:
    """The first argument returned instead, or None where there is none."""
    if isinstance(node, ast.Return) and node.value is not None and place.function is not None:
        arguments = place.function.args
        names = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
        given = [name for name in names if name not in ("self", "cls")]
        yield ast.Return(ast.Name(given[0], ast.Load()) if given else ast.Constant(None))


@operator
def copy_dropped(node: ast.AST, place: Place) -> Iterator[ast.AST]:
    """x itself instead of deepcopy(x), list(x), x.clone(), x.detach() and the like."""
    if not isinstance(node, ast.Call) or node.keywords:
        return
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if len(node.args) == 1 and name in ("deepcopy", "copy", "list", "tuple", "dict"):
        yield node.args[0]
    elif isinstance(node.func, ast.Attribute) and not node.args and name in ("clone", "copy", "detach"):
        yield node.func.value


@operator
def axis_changed(node: ast.AST, place: Place) -> Iterator[ast.AST]:
    """dim=0 by dim=1, any other by dim=0."""
    if isinstance(node, ast.keyword) and node.arg in ("dim", "axis"):
        try:
            value = ast.literal_eval(node.value)
        except ValueError:
            return
        yield ast.keyword(node.arg, ast.Constant(1 if value == 0 else 0))


#: Functions whose results are read by people only.
_PRINTED = ("__repr__", "__str__", "extra_repr", "_get_name")
#: Fields of nodes that change no result.
_NO_RESULT = ("annotation", "returns", "decorator_list", "msg", "type_comment")


@dataclass(frozen=True)
class Change:
    """One change of a source: the node at ``path`` becomes ``replacement``.

    ``before`` and ``after`` are the statement on one line, without its body; ``line`` is where it
    begins, and ``reached`` the number of the statement that is run where the change can matter (None
    for what is run at import).
    """

    operator: str
    line: int
    before: str
    after: str
    reached: int | None
    path: Steps = field(repr=False)
    replacement: ast.AST = field(repr=False)


def changes(source: str, texts_of: Mapping[str, Parameters] | None = None) -> Iterator[Change]:
    """All changes of a source, in the order of the nodes; ``texts_of`` are the :func:`text_parameters`
    of functions in it and in others."""
    tree = ast.parse(source)
    texts_of = text_parameters([source]) if texts_of is None else texts_of
    texts = _only_texts(tree) | {id(node) for node in _given_as_texts(tree, texts_of)}
    numbers = {id(node): i for i, node in enumerate(statements(tree))}
    for node, path, place in _nodes(tree, (), Place(above=[]), texts):
        for name, of in OPERATORS.items():
            for replacement in of(node, place):
                statement = next(n for n in (node, *reversed(place.above)) if isinstance(n, ast.stmt))
                depth = len(path) - [node, *reversed(place.above)].index(statement)
                changed = _at(replaced(tree, path, replacement), path[:depth])
                yield Change(
                    name,
                    statement.lineno,
                    header(statement),
                    header(changed),
                    _reached(statement, place, numbers),
                    path,
                    replacement,
                )


def statements(tree: ast.AST) -> Iterator[ast.stmt]:
    """All statements of a tree: their order is what their numbers are."""
    return (node for node in ast.walk(tree) if isinstance(node, ast.stmt))


def _reached(statement: ast.stmt, place: Place, numbers: dict[int, int]) -> int | None:
    if isinstance(statement, Function):  # a default matters where the function is called
        return numbers[id(statement.body[0])]
    return None if place.function is None else numbers[id(statement)]


def _nodes(
    node: ast.AST, path: Steps, place: Place, texts: set[int]
) -> Iterator[tuple[ast.AST, Steps, Place]]:
    """The nodes where a change can matter, with their paths and places."""
    if id(node) in texts or _says_something(node):
        return
    if isinstance(node, Function) and node.name in _PRINTED:
        return
    if isinstance(node, (ast.If, ast.IfExp)) and "TYPE_CHECKING" in ast.unparse(node.test):
        return
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return
    if path:
        yield node, path, place
    if isinstance(node, ast.Raise):
        return
    for name, value in ast.iter_fields(node):
        if name in _NO_RESULT:
            continue
        below = Place(name, [*place.above, node])
        for i, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(child, ast.AST):
                yield from _nodes(child, (*path, (name, i)), below, texts)


def _says_something(node: ast.AST) -> bool:
    """Whether it is a docstring or a message: a string with a space in it."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    strings = [p.value for p in parts if isinstance(p, ast.Constant) and isinstance(p.value, str)]
    return any(" " in string for string in strings)


def _only_texts(tree: ast.Module) -> set[int]:
    """The nodes that only the messages of errors are made of: functions that are called in ``raise``
    only, and assignments to names that are read there only."""
    found = set()
    for scope in ast.walk(tree):
        if not isinstance(scope, (ast.Module, Function)):
            continue
        read = [n.id for n in ast.walk(scope) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)]
        raised = [
            n.id
            for statement in ast.walk(scope)
            if isinstance(statement, ast.Raise)
            for n in ast.walk(statement)
            if isinstance(n, ast.Name)
        ]
        only = {name for name in raised if raised.count(name) == read.count(name)}
        for node in ast.walk(scope):
            of_module = isinstance(scope, ast.Module)
            if of_module and isinstance(node, Function) and node.name in only:
                found.add(id(node))
            elif not of_module and isinstance(node, ast.Assign):
                names = [target.id for target in node.targets if isinstance(target, ast.Name)]
                if names and len(names) == len(node.targets) and only.issuperset(names):
                    found.add(id(node))
    return found


#: The parameters of a function, in their order, and those of them that only messages are made of.
Parameters = tuple[list[str], set[str]]


def text_parameters(sources: Sequence[str]) -> dict[str, Parameters]:
    """For every function of some sources the parameters that only messages of errors are made of: they
    are read in ``raise``, or given to such parameters."""
    functions = [
        node
        for source in sources
        for node in ast.walk(ast.parse(source))
        if isinstance(node, Function) and node.name != "__init__"
    ]
    found: dict[str, Parameters] = {}
    for function in functions:
        arguments = function.args
        names = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
        names = [name for name in names if name not in ("self", "cls")]
        # of functions of one name, the same must hold for all
        texts = set() if function.name in found else set(names)
        found[function.name] = names, texts
    while True:
        before = sum(len(texts) for _, texts in found.values())
        for function in functions:
            spoken = [n for n in ast.walk(function) if isinstance(n, ast.Raise)]
            spoken += _given_as_texts(function, found)
            quiet = {id(n) for said in spoken for n in ast.walk(said)}
            read = {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and id(n) not in quiet}
            found[function.name][1].difference_update(read)
        if before == sum(len(texts) for _, texts in found.values()):
            return found


def _given_as_texts(tree: ast.AST, texts_of: Mapping[str, Parameters]) -> list[ast.AST]:
    """The arguments of calls that only messages are made of."""
    given: list[ast.AST] = []
    for call in ast.walk(tree):
        if isinstance(call, ast.Call):
            # of a method that is called by super() there may be another, which does more with it
            of_name = isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name)
            name = getattr(call.func, "attr" if of_name else "id", "")
            names, texts = texts_of.get(name, ([], set()))
            given += [a for of, a in zip(names, call.args, strict=False) if of in texts]
            given += [k.value for k in call.keywords if k.arg in texts]
    return given


def _at(tree: ast.AST, path: Steps) -> ast.AST:
    """The node at a path."""
    for name, i in path:
        tree = getattr(tree, name) if i is None else getattr(tree, name)[i]
    return tree


def replaced(tree: ast.AST, path: Steps, replacement: ast.AST) -> ast.AST:
    """The tree with another node at a path; the tree itself stays as it is."""
    if not path:
        return ast.fix_missing_locations(ast.copy_location(replacement, tree))
    (name, i), *rest = path
    changed, child = copy.copy(tree), getattr(tree, name)
    if i is None:
        setattr(changed, name, replaced(child, tuple(rest), replacement))
    else:
        setattr(
            changed, name, [*child[:i], replaced(child[i], tuple(rest), replacement), *child[i + 1 :]]
        )
    return changed


def header(statement: ast.AST) -> str:
    """A statement on one line, without what stands inside it."""
    bare = copy.copy(statement)
    for name in ("decorator_list", "orelse", "finalbody", "handlers"):
        if isinstance(getattr(bare, name, None), list):
            setattr(bare, name, [])
    if isinstance(getattr(bare, "body", None), list):
        bare.body = [ast.Pass()]
        if isinstance(bare, ast.Try):
            return "try:"
    lines = ast.unparse(bare).splitlines()
    return " ".join(
        line.strip() for line in (lines[:-1] if lines[-1].strip() == "pass" else lines) or lines
    )


def compiled(source: str, change: Change, filename: str) -> CodeType:
    """The code of a changed source, with the lines of the source."""
    tree = replaced(_parsed(source), change.path, change.replacement)
    return compile(tree, filename, "exec", dont_inherit=True)


@functools.lru_cache(maxsize=1)
def _parsed(source: str) -> ast.AST:
    return ast.parse(source)


def meaning(code: CodeType) -> tuple[object, ...]:
    """What a code does, whatever the lines that it was written on."""
    constants = tuple(
        meaning(c) if isinstance(c, CodeType) else (type(c).__name__, repr(c)) for c in code.co_consts
    )
    flags = code.co_argcount, code.co_kwonlyargcount, code.co_posonlyargcount, code.co_flags
    names = code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars
    table = getattr(code, "co_exceptiontable", b"")
    return code.co_name, code.co_code, table, constants, flags, names


def instrumented(source: str, filename: str, offset: int) -> CodeType:
    """The code of a source that calls ``__reached__(offset + number)`` before each statement of its
    functions."""
    tree = ast.parse(source)
    numbers = {id(node): offset + i for i, node in enumerate(statements(tree))}

    def with_calls(body: list[ast.stmt]) -> list[ast.stmt]:
        result: list[ast.stmt] = []
        for statement in body:
            call = ast.Call(
                ast.Name("__reached__", ast.Load()), [ast.Constant(numbers[id(statement)])], []
            )
            pair = [ast.copy_location(ast.Expr(call), statement), statement]
            is_text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
            result += reversed(pair) if is_text else pair  # a docstring stays the first
        return result

    for function in [node for node in ast.walk(tree) if isinstance(node, Function)]:
        for node in [n for n in ast.walk(function) if not isinstance(n, ast.Lambda)]:
            for name in ("body", "orelse", "finalbody"):
                body = getattr(node, name, None)
                if isinstance(body, list) and body and id(body[0]) in numbers:
                    setattr(node, name, with_calls(body))
    return compile(ast.fix_missing_locations(tree), filename, "exec", dont_inherit=True)
