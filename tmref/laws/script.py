"""Counterexamples as Python: the code that builds an input, and the script that shows a failure."""

from __future__ import annotations

import dataclasses
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..block import TensorBlock, block_source
from ..catalog import Call, Deferred, Recipe
from ..compare import Refused
from ..implementations import CPU, Example, Implementation
from ..labels import Labels, labels_source
from ..printing import source_of, tensor_source
from ..tensor_map import TensorMap
from .shown import Place, Shown
from .sources import code_of, pickled, plain_code
from .statements import Statement, each_once, written
from .steps import IMPORTS, MODULES, OF_ONES_OWN, Step

#: The calls that make data.
_OF_DATA = ("Labels", "TensorBlock", "TensorMap")
#: What makes what is judged, where it is one's own.
_OWN = ("build", *OF_ONES_OWN)
#: What the code of users may call so, though the implementation itself does not import it.
_NUMPY = "import numpy as np"
#: What is needed for derivatives can't be overwritten itself.
_OF_CLONES = (
    "x = TensorMap(x.keys, [TensorBlock(v.clone(), b.samples, b.components, b.properties) "
    "for v, b in zip(inputs, x.blocks())])"
)
#: What follows on what exits: the script would end as if all were well.
_EXITS = 'except SystemExit as error:\n    raise AssertionError("it raised SystemExit") from error'
#: The longest code of an expected tensor that stands within the assertion.
_INLINE = 60


def _is_used(line: str, text: str) -> bool:
    """Whether a script needs a line, which imports one name that may not be in it, or does more."""
    found = re.fullmatch(r"(?:import|from [\w.]+ import) (?:\w+ as )?(\w+)", line)
    return found is None or re.search(rf"(?<![\w.]){found[1]}\b", text) is not None


def _takes_a_map(call: Call) -> bool:
    """Whether it is a map that something is made for."""
    return any(
        isinstance(arg, TensorMap) or (isinstance(arg, Call) and _takes_a_map(arg)) for arg in call.args
    )


def _prints_as_code(value: Any) -> bool:
    """Whether the repr of a value is code that makes it, as those of tmref's own objects are."""
    library = type(value).__module__.partition(".")[0]
    return library in ("fractions", "tmref") and not isinstance(value, torch.nn.Module)


def _is_collection(value: Any) -> bool:
    """Whether it is given with what is in it encoded."""
    return isinstance(value, (list, dict)) or type(value) is tuple


def plain_source(tensor: torch.Tensor) -> str:
    """The code of a tensor of these numbers, wherever they are."""
    return tensor_source(tensor.detach().cpu().resolve_conj().resolve_neg().contiguous().clone())


@dataclass(frozen=True)
class Name:
    """What has a name in the code already."""

    name: str


def _is_expression(value: Any) -> bool:
    """Whether it is written by an expression, which needs no lines before it."""
    is_data = isinstance(value, (Name, Call, Deferred, Labels, TensorBlock))
    is_other = not isinstance(value, TensorMap) and _prints_as_code(value)
    return is_data or is_other or plain_code(value) is not None


class ScriptWriter:
    """Code for one implementation: labels, maps and calls as its users write them.

    What is not on the CPU is made there, and then moved.
    """

    def __init__(self, implementation: Implementation) -> None:
        self._implementation = implementation
        self._array = getattr(implementation, "labels_array", "torch.tensor")
        self._imports = getattr(implementation, "imports", ("import torch",))
        self._parameters = getattr(implementation, "parameters_code", "{}.parameters()")
        #: Where classes of plain torch come from that are none of torch's own.
        self._homes: set[str] = set()
        device = getattr(implementation, "device", CPU)
        self._moved = "" if device == CPU else f'.to("{device}")'
        if self._moved:
            self._array = "torch.tensor"  # arrays of other libraries are on the CPU alone

    def labels(self, labels: Labels) -> str:
        """The code that makes labels."""
        return labels_source(labels, self._array)

    def block(self, block: TensorBlock) -> str:
        """The code that makes a block, without its gradients."""
        return block_source(block, self._array, gradients=False)

    def map(self, name: str, tensor: TensorMap) -> list[str]:
        """The lines that make a map under this name."""
        lines, blocks = [], []
        for i, block in enumerate(tensor):
            if not block.has_any_gradient():
                blocks.append(self.block(block))
                continue
            blocks.append(f"block_{i}")
            lines.append(f"block_{i} = {self.block(block)}")
            for parameter, gradient in block.gradients():
                lines.append(f'block_{i}.add_gradient("{parameter}", {self._unmoved(gradient)})')
        code = f"TensorMap({self.labels(tensor.keys)}, [{', '.join(blocks)}])"
        return [*lines, f"{name} = {code}{self._moved}"]

    def value(self, value: Any) -> str:
        """The code that makes an argument of a call."""
        moves = isinstance(value, (torch.Tensor, Labels, TensorBlock)) or (
            isinstance(value, Call) and self._moves(value)
        )
        code = self._unmoved(value)
        return f"{code}{self._moved}" if moves else code

    def _moves(self, call: Call) -> bool:
        """Whether a call makes a module, and doesn't say where."""
        return call.name not in (*_OF_DATA, "add_gradient") and "device" not in call.kwargs

    def _unmoved(self, value: Any) -> str:
        if isinstance(value, Name):
            return value.name
        if isinstance(value, Call):
            return self.call(value)
        if isinstance(value, Deferred):
            return f"lambda: {self.value(value.call)}"
        if isinstance(value, Labels):
            return self.labels(value)
        if isinstance(value, TensorBlock):
            added = (
                f"block.add_gradient({parameter!r}, {self._unmoved(gradient)})"
                for parameter, gradient in value.gradients()
            )
            code = self.block(value)
            return f"[block := {code}, {', '.join(added)}][0]" if value.has_any_gradient() else code
        if isinstance(value, TensorMap):
            return "x"
        if isinstance(value, list):
            return "[" + ", ".join(map(self.value, value)) + "]"
        if type(value) is tuple:
            return f"({', '.join(map(self.value, value))}{',' * (len(value) == 1)})"
        if isinstance(value, dict):
            items = (f"{self._unmoved(key)}: {self.value(item)}" for key, item in value.items())
            return "{" + ", ".join(items) + "}"
        if _prints_as_code(value):
            return source_of(value)
        return plain_code(value) or pickled(value) or "..."

    def call(self, call: Call) -> str:
        """The code of a call."""
        arguments = [*map(self.value, call.args)]
        if call.name == "add_gradient":
            block, *rest = arguments
            return f"{block}.add_gradient({', '.join(rest)})"
        if call.name == "Labels" and not self._array.startswith("torch."):
            pairs = zip(arguments, call.args, strict=True)
            arguments = [f"{c}.numpy()" if isinstance(arg, torch.Tensor) else c for c, arg in pairs]
        arguments += [f"{name}={self.value(value)}" for name, value in call.kwargs.items()]
        if call.is_torch and not call.name.startswith("torch."):
            self._homes.add(call.name.rpartition(".")[0])
        without = call.is_torch or call.name in (*_OWN, *_OF_DATA)
        return f"{'' if without else 'nn.'}{call.name}({', '.join(arguments)})"

    def bound(self, name: str, value: Any) -> list[str]:
        """The lines that give a value a name: a map, a recipe, or anything that has code."""
        if isinstance(value, Recipe):
            return self._made(name, value.call)
        value = self._ours(value)
        if isinstance(value, TensorMap):
            return self.map(name, value)
        if _is_collection(value):
            lines: list[str] = []
            value = self._with_names(name, value, lines)
            return [*lines, f"{name} = {self.value(value)}"]
        if _is_expression(value):
            return [f"{name} = {self.value(value)}"]
        return self._further(name, value)

    def _ours(self, value: Any) -> Any:
        """Our data for that of the implementation; the value itself where it is none, or unreadable."""
        is_ours = isinstance(value, (Labels, TensorBlock, TensorMap))
        if is_ours or not any(self._implementation.is_a(value, kind) for kind in _OF_DATA):
            return value
        try:
            return self._implementation.to_ours(value)
        except Exception:
            return value

    def _with_names(self, name: str, value: Any, lines: list[str]) -> Any:
        """The value, with names for what has no expression in it; the lines that give them are added."""
        if isinstance(value, dict):
            keys = [self._with_names(f"{name}_key_{i}", key, lines) for i, key in enumerate(value)]
            words = [k if isinstance(k, str) and k.isidentifier() else i for i, k in enumerate(keys)]
            pairs = zip(words, value.values(), strict=True)
            found = [self._with_names(f"{name}_{word}", item, lines) for word, item in pairs]
            return dict(zip(keys, found, strict=True))
        if _is_collection(value):
            found = [self._with_names(f"{name}_{i}", item, lines) for i, item in enumerate(value)]
            return tuple(found) if isinstance(value, tuple) else found
        if _is_expression(value):
            return value
        while any(line.startswith(f"{name} = ") for line in lines):
            name += "_"
        lines.extend(self.bound(name, value))
        return Name(name)

    def _further(self, name: str, value: Any) -> list[str]:
        """The lines that give a name to what is no data; where it has no code, they say what it was."""
        there = {**MODULES, **self._implementation.names_in_code()}
        lines = [*code_of(value, name, there)]
        if lines[-1].startswith("raise "):
            lines.insert(-1, f"# {name} is {' '.join(repr(value).split())}")
        if self._moved and isinstance(value, torch.nn.Module):
            lines.append(f"{name}{self._moved}")
        return lines

    def _made(self, name: str, call: Call) -> list[str]:
        """The lines that give a name to what a call makes, and before it to what it takes."""
        lines: list[str] = []

        def named(value: Any) -> Any:
            if isinstance(value, list):
                return [named(item) for item in value]
            if not isinstance(value, Call) or not value.parameters:
                return value
            part = f"layer_{sum(' = ' in line for line in lines)}"
            lines.extend(self._made(part, value))
            return Name(part)

        call = dataclasses.replace(call, args=tuple(map(named, call.args)))
        if call.name in _OWN:  # further inputs
            for of_input, value in call.kwargs.items():
                lines.extend(self.bound(of_input, value))
            call = dataclasses.replace(call, kwargs={n: Name(n) for n in call.kwargs})
        lines.append(f"{name} = {self.call(call)}")
        if call.parameters:
            values = ", ".join(map(plain_source, call.parameters))
            parameters = self._parameters.format(name)
            lines.append(f"for parameter, value in zip({parameters}, [{values}], strict=True):")
            lines.append("    parameter.data.copy_(value)")  # as it was set: in the dtype of the module
        if self._moved and self._moves(call):
            lines.append(f"{name}{self._moved}")
        return lines

    def script(
        self, title: str, example: Example, steps: Sequence[Step], shown: Shown | None = None
    ) -> str:
        """A script that builds the module, does what the law did, and asserts what must be."""
        lines = written(each_once(self._done(example, steps, shown)))
        text = "\n".join(lines)
        homes = [f"import {home}" for home in sorted(self._homes)]
        named = [f"import {name}" for name in IMPORTS]
        imports = dict.fromkeys([*named, *homes, _NUMPY, *self._imports])
        definitions = [line for line in self._imports if not line.startswith(("import ", "from "))]
        used = [line for line in imports if _is_used(line, "\n".join([*definitions, text]))]
        head = [*(f"# {line}" for line in title.splitlines()), *used, ""]
        return "\n".join(head) + "\n" + text + "\n"

    def _done(self, example: Example, steps: Sequence[Step], shown: Shown | None) -> list[Statement]:
        """The statements that make the module, do what the law did, and assert what must be."""
        places = shown.places if shown else []
        codes = [f"{place.name}{place.path}" for place in places]
        if shown is not None:
            steps = shown.steps(steps)
        recipe = example.recipe
        overwrites = recipe is not None and bool(recipe.call.kwargs.get("in_place"))
        done: list[Statement] = []
        bound: dict[str, list[str]] = {}
        last = 0

        def bind(name: str, value: Any) -> None:
            nonlocal last
            code = self.bound(name, value)
            if bound.get(name) != code or (overwrites and isinstance(value, TensorMap)):
                bound[name] = code
                last = len(done)
                done.extend(Statement(lines, is_data=True) for lines in _statements(code))

        if not steps or (recipe is not None and _takes_a_map(recipe.call)):
            bind("x", example.x)
        uses_module = not steps or any(re.search(r"\bmodule\b", step.code) for step in steps)
        if recipe is not None and uses_module:
            bind("module", recipe)
        for i, step in enumerate(steps):
            if step.looks and all(place.step != i for place in places):
                continue
            for name, value in step.given.items():
                bind(name, value)
            if step.ran:
                goes_on = step is not steps[-1] or any(place.name == "x" for place in places)
                last = len(done)
                done += self._ran(step, goes_on=goes_on, overwrites=overwrites)
            later = {name for of in steps[i + 1 :] if of.ran for name in (of.name, *_assigned(of.code))}
            later.update(*(of.given for of in steps[i + 1 :]))
            for j, place in enumerate(places):
                name = ("found", "expected")[j]
                if place.step == i and place.kept:
                    done.append(Statement(f"{name} = {codes[j]}.clone()"))
                    codes[j] = name
                elif place.step == i and place.name in later:
                    done.append(Statement(f"{name} = {place.name}"))
                    codes[j] = f"{name}{place.path}"
        if shown is not None and isinstance(shown.expected, Refused):
            done[-1] = dataclasses.replace(done[-1], may_be_refused=True)
            done.append(Statement('raise AssertionError("this must be refused")'))
        elif steps and _exits(steps[-1]):
            code = textwrap.indent("\n".join(of.code for of in done[last:]), "    ")
            done[last:] = [Statement(f"try:\n{code}\n{_EXITS}")]
        elif shown is not None:
            done += map(Statement, self._assertion(shown, *codes))
        return done

    def _ran(self, step: Step, *, goes_on: bool, overwrites: bool) -> list[Statement]:
        """The statements that a step ran: whether the script ``goes_on`` where it is refused, and the
        module ``overwrites`` its input."""
        before, after = [], []
        if step.cotangents is not None:
            cotangents = ", ".join(plain_source(b.values) + self._moved for b in step.cotangents)
            before = [
                "blocks = range(len(x.keys))",
                "inputs = [x.block(i).values.requires_grad_() for i in blocks]",
                *([_OF_CLONES] if overwrites else []),
            ]
            after = [
                "outputs = [y.block(i).values for i in blocks]",
                f"torch.autograd.backward(outputs, [{cotangents}])",
            ]
        assigns = step.name == "result" and not step.code.startswith("result = ")
        code = f"result = {step.code}" if assigns else step.code
        was_refused = isinstance(step.result, Refused) and goes_on
        line = Statement(code, was_refused or step.may_be_refused, was_refused)
        return [*map(Statement, before), line, *map(Statement, after)]

    def _assertion(self, shown: Shown, path: str, other: str | None = None) -> list[str]:
        """The lines that print what is at the path, and compare it with what is expected: with what is
        at the ``other``, where that is in the script, too."""
        found, expected = shown.found, shown.expected
        lines = [f"print({path})"]
        rows = _rows(shown.place)
        if found is None or expected is None:
            lines.append(f"assert {path} is {'None' if expected is None else 'not None'}")
        elif isinstance(expected, torch.Tensor) and isinstance(found, torch.Tensor):
            back = ".cpu()" if self._moved else ""
            if other is not None and shown.other is not None:
                code = f"{other}{_rows(shown.other)}{back}"
            elif len(code := plain_source(expected)) > _INLINE:
                lines.append(f"expected = {code}")
                code = "expected"
            options = f"rtol=0, atol={shown.tolerance:.3g}"
            if bool((expected != expected).any()):
                options += ", equal_nan=True"
            lines.append(f"torch.testing.assert_close({path}{rows}{back}, {code}, {options})")
        elif isinstance(expected, Labels) and other is not None and shown.other is not None:
            others = _rows(shown.other)
            left, right = (f"{of}.values{r}.tolist()" for of, r in ((path, rows), (other, others)))
            lines.append(f"assert ({path}.names, {left}) == ({other}.names, {right})")
        elif isinstance(expected, Labels):
            names, values = expected.names, expected.values.tolist()
            lines.append(f"assert ({path}.names, {path}.values{rows}.tolist()) == ({names}, {values})")
        elif path.endswith(".gradients_list()"):
            lines.append(f"assert sorted({path}) == {sorted(expected.gradients_list())}")
        elif path.endswith(".components"):
            lines.append(f"assert len({path}) == {len(expected.components)}")
        elif isinstance(expected, (TensorMap, TensorBlock)):
            has = "keys" if isinstance(expected, TensorMap) else "properties"
            lines.append(f'assert hasattr({path}, "{has}")')
        elif isinstance(expected, Mapping):
            lines.append(f"assert list({path}) == {list(expected)}")
        elif _is_collection(expected) and type(found) is not type(expected):
            lines.append(f"assert type({path}) is {type(expected).__name__}")
        elif _is_collection(expected) and plain_code(expected) is None:
            lines.append(f"assert len({path}) == {len(expected)}")
        elif other is not None:
            lines.append(f"assert {path} == {other}")
        elif not isinstance(expected, torch.nn.Module):
            lines.append(f"assert {path} == {self.value(expected)}")
        return lines


def ends_in_a_failure(script: str) -> bool:
    """Whether its last line is one that fails, or says what must be."""
    return script.rstrip().splitlines()[-1].lstrip().startswith(("assert ", "torch.testing.", "raise "))


def _exits(step: Step) -> bool:
    """Whether it ended in an exit of Python."""
    return isinstance(step.result, Refused) and isinstance(step.result.error, SystemExit)


def _assigned(code: str) -> list[str]:
    """The names that lines give something to, those within a `with` included."""
    return re.findall(r"^\s*(\w+) = ", code, re.M)


def _rows(place: Place) -> str:
    """The code that takes the rows of what is at a place."""
    return "" if place.rows is None else f"[{list(place.rows)}]"


def _statements(lines: Sequence[str]) -> list[str]:
    """The lines in statements: one that is indented belongs to that before it."""
    found: list[str] = []
    for line in lines:
        if line.startswith(" ") and found:
            found[-1] += f"\n{line}"
        else:
            found.append(line)
    return found
