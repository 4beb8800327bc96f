"""What a law calls ``f``: an implementation under test, and one module of it beside its twin."""

from __future__ import annotations

import ast
import copy
import dataclasses
import functools
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import CodeType
from typing import Any

import torch
from hypothesis import strategies as st

from ..block import TensorBlock
from ..catalog import Call, Recipe
from ..compare import Refused, compare
from ..implementations import CPU, NAMESPACES, Implementation
from ..labels import Labels
from ..printing import counted
from ..strategies import like
from ..tensor_map import TensorMap
from .interrupts import is_not_of_what_is_judged
from .limits import TookTooLong, a_call
from .outcomes import NotOffered, NotTaken, Raised
from .premises import FURTHER_INPUTS, PROPERTIES, TWIN, WRITTEN, Inputs, Premise, is_like, is_written
from .steps import CALL, MODULES, Step
from .twin import Twin, called_from_cpu, differentiate, on_cpu, quiet


@dataclass(frozen=True)
class Unreadable:
    """What came back, and is no data of the implementation's: reading it raises ``error``."""

    error: BaseException


class Session:
    """An implementation under test: :meth:`run` runs code as its users write it.

    ``steps`` are the lines that were run, ``notes`` what the law says of its example. What lines are
    given is on the ``device``, what they give is brought back: laws themselves have everything on the
    CPU. ``ways`` are those of the law's that the implementation offers.
    """

    def __init__(self, implementation: Implementation, ways: Sequence[str] = ()) -> None:
        self.implementation = implementation
        self.ways = list(ways)
        self.device = implementation.device
        self.steps: list[Step] = []
        self.notes: dict[str, Any] = {}
        #: All maps that lines were given, as they were then: what modules were called on.
        self.inputs: list[TensorMap] = []
        self._names: dict[str, Any] = {**MODULES, **implementation.names_in_code()}

    def __getitem__(self, name: str) -> Any:
        """What a name stands for in the code, as it is."""
        return self._names[name]

    def run(self, code: str, **given: Any) -> Any:
        """What a line of code gives, decoded: an expression, or a statement such as ``y = module(x)``.

        ``given`` are names in it, and those of later lines, with what they stand for: maps, blocks,
        labels, calls, tensors, or lists of them, which are encoded, and whatever else. Raises Raised
        where the code raises.
        """
        result = self.attempt_to_run(code, **given)
        self.steps[-1] = dataclasses.replace(self.steps[-1], may_be_refused=False)
        if isinstance(result, Refused):
            raise Raised(_undone(code, result.error)) from result.error
        return result

    def look(self, code: str) -> Any:
        """What an expression gives that only looks at something: of scripts it is no part, unless they
        show it."""
        result = self.run(code)
        self.steps[-1] = dataclasses.replace(self.steps[-1], looks=True)
        return result

    def attempt_to_run(self, code: str, **given: Any) -> Any:
        """What :meth:`run` gives, or Refused where the code raises. Raises NotOffered where it takes
        what the implementation hasn't from one of its namespaces."""
        compiled, name, is_expression, taken = _compiled(code)
        self._require(taken)
        before = {key: copied(value) for key, value in given.items()}
        self.inputs += _maps_in(before)
        try:
            with quiet():
                for key, value in given.items():
                    # what is done to what is given must not reach the law's
                    self._names[key] = self.implementation.to_theirs(copied(value))
                with a_call():
                    if is_expression:
                        self._names[name] = eval(compiled, self._names)
                    else:
                        exec(compiled, self._names)
        except Exception as error:
            result: Any = Refused(error)
        except BaseException as error:  # which is no refusal
            self.steps.append(Step(code, before, name, Refused(error)))
            if is_not_of_what_is_judged(error):  # it may be too late
                raise
            raise Raised(_undone(code, error)) from error
        else:
            result = self._decoded(code, self._names.get(name))
        self.steps.append(Step(code, before, name, result, may_be_refused=True))
        if isinstance(result, Unreadable):
            raise Raised(f"what {_last_line(code)!r} gives can't be read") from result.error
        return result

    def has(self, taken: Sequence[tuple[str, str]]) -> bool:
        """Whether the implementation's namespaces have all of these names."""
        return all(hasattr(getattr(self.implementation, home, None), name) for home, name in taken)

    def _require(self, taken: Sequence[tuple[str, str]]) -> None:
        for home, name in taken:
            if not self.has([(home, name)]):
                raise NotOffered(f"not offered: {home} has no {name}")

    def _decoded(self, code: str, theirs: Any) -> Any:
        """What a line gave, on the CPU, or Unreadable."""
        try:
            with quiet():
                result = self._brought_back(code, self.implementation.to_ours(theirs))
                if isinstance(result, TensorMap):  # another one each time: it stands for this line
                    return result._map_blocks(lambda block: block)
                return result
        except BaseException as error:
            if is_not_of_what_is_judged(error):
                raise
            return Unreadable(error)

    def _brought_back(self, code: str, result: Any) -> Any:
        if self.device == CPU:
            return result
        if code == CALL and isinstance(result, TensorMap):
            for block in result:
                if block.device != self.device:
                    raise ValueError(f"the output is on {block.device}, the input on {self.device}")
        return on_cpu(result)

    def show(self, name: str, value: Any) -> None:
        """Have scripts print a value under a name: what it is that the law does to what it gives."""
        self.steps.append(Step(f'print("{name}", {name})', {name: value}, "", None))

    def note(self, **found: Any) -> None:
        """Say something of the example, by name, for the ``draws`` of a known failure: what follows from
        what was drawn."""
        self.notes.update(found)

    def there(self, function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        """The function, computed on the device: it takes and gives tensors on the CPU."""
        return lambda *values: on_cpu(function(*(value.to(self.device) for value in values)))

    def plain(self, name: str) -> Any:
        """A copy of the plain torch module that a name stands for, or of a list of them, as a twin: it
        takes and gives tensors on the CPU."""
        found = copy.deepcopy(self[name])
        for module in found if isinstance(found, list) else [found]:
            called_from_cpu(module, self.device)
        return found

    @property
    def random_state(self) -> str:
        """The code of the state of the device's random numbers."""
        if self.device == CPU:
            return "torch.get_rng_state()"
        return f"torch.get_device_module({self.device.type!r}).get_rng_state('{self.device}')"

    def offered(self, ability: str) -> Any:
        """The implementation's attribute of this name. Raises NotOffered where it has none, or none that
        is true."""
        found = getattr(self.implementation, ability, None)
        if not found:
            raise NotOffered(f"{self.implementation.name} does not offer it: {ability}")
        return found


def _undone(code: str, error: BaseException | None) -> str:
    """What an exception of code means, in words: which line of it can't be done."""
    compiled, line = _compiled(code)[0], _last_line(code)
    for frame, number in traceback.walk_tb(None if error is None else error.__traceback__):
        if frame.f_code is compiled:
            line = code.splitlines()[number - 1].strip()
            break
    return "the module can't be called" if line == CALL else f"{line!r} can't be done"


def _last_line(code: str) -> str:
    """What stands for code in words."""
    return code.strip().splitlines()[-1].strip()


@functools.lru_cache(maxsize=1024)
def _compiled(code: str) -> tuple[CodeType, str, bool, tuple[tuple[str, str], ...]]:
    """The code, the name of what it gives, whether it is an expression, and what it takes from the
    namespaces of an implementation."""
    tree = ast.parse(code)
    taken = taken_in(code)
    last = tree.body[-1]
    if len(tree.body) == 1 and isinstance(last, ast.Expr):
        return compile(code, "<law>", "eval"), "result", True, taken
    target = last.targets[0] if isinstance(last, ast.Assign) else None
    name = target.id if isinstance(target, ast.Name) else ""
    return compile(code, "<law>", "exec"), name, False, taken


def taken_in(code: str) -> tuple[tuple[str, str], ...]:
    """What the code takes from the namespaces of an implementation: ``nn``, and the names in it."""
    found = (node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Attribute))
    return tuple(
        (node.value.id, node.attr)
        for node in found
        if isinstance(node.value, ast.Name) and node.value.id in NAMESPACES
    )


def _made_by(call: Call) -> list[str]:
    """The names of the classes of nn whose modules a call makes."""
    own = [] if call.is_torch else [call.name]
    return own + [name for arg in call.args if isinstance(arg, Call) for name in _made_by(arg)]


def _maps_in(value: Any) -> list[TensorMap]:
    """The maps in a nest of lists and dictionaries."""
    if isinstance(value, TensorMap):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [tensor for item in items for tensor in _maps_in(item)]


def copied(value: Any) -> Any:
    """Data of the same labels and copied values, and copies of tensors, lying in memory as they did;
    whatever else is itself."""
    if type(value) is torch.Tensor:
        return _cloned(value)
    if isinstance(value, TensorMap):
        return value._map_blocks(copied)
    if isinstance(value, TensorBlock):
        return value._map_values(_cloned)
    if isinstance(value, list):
        return [copied(item) for item in value]
    if isinstance(value, dict):
        return {name: copied(item) for name, item in value.items()}
    if isinstance(value, tuple) and type(value) is tuple:
        return tuple(map(copied, value))
    return value


def _cloned(values: torch.Tensor) -> torch.Tensor:
    """A copy that lies in memory as the tensor does; autograd's graph goes through it."""
    if values.is_conj():
        return _cloned(values.conj()).conj()
    if values.is_neg():
        return torch._neg_view(_cloned(torch._neg_view(values)))
    clone, offset = values.clone(), values.storage_offset()
    if not values.numel() or (clone.stride() == values.stride() and not offset):
        return clone
    size = (
        1 + offset + sum((n - 1) * step for n, step in zip(values.shape, values.stride(), strict=True))
    )
    return values.as_strided((size,), (1,), 0).clone().as_strided(values.shape, values.stride(), offset)


class ModuleSession(Session):
    """One module of an implementation. ``f(x)`` is what it makes of the map ``x``, decoded.

    ``their_input`` is the implementation's own input of the last call. Where ``drawn`` is given, maps
    that the row doesn't take are not tried: NotTaken is raised.
    """

    def __init__(
        self,
        implementation: Implementation,
        recipe: Recipe,
        ways: Sequence[str] = (),
        drawn: TensorMap | None = None,
    ) -> None:
        super().__init__(implementation, ways)
        self.recipe = recipe
        self._twin: Twin | None = None
        self._drawn = drawn
        self._names["module"] = self._built(recipe)

    def attempt_to_run(self, code: str, **given: Any) -> Any:
        """What :meth:`run` gives, or Refused where the code raises. Raises NotTaken where it is given a
        map that the row doesn't take."""
        row = self.recipe.row
        taken = Inputs.taken(row.maps) if row.maps else None
        for value in given.values():
            if self._drawn is None or not isinstance(value, TensorMap):
                continue
            why_not = taken.why_not(value, self._drawn) if taken is not None else None
            if why_not is None and row.follows_labels and not is_like(value, self._drawn):
                why_not = "of other labels than those its further inputs are made for"
            if why_not is not None:
                raise NotTaken(f"it takes no maps {why_not}, which the law would give it")
        return super().attempt_to_run(code, **given)

    def like(self, x: TensorMap) -> st.SearchStrategy[TensorMap]:
        """Maps with the metadata of ``x`` and other values, such as the row takes."""
        bound = self.recipe.row.maps.get("bound")
        return like(x) if bound is None else like(x, bound=bound)

    def _built(self, recipe: Recipe) -> torch.nn.Module:
        self._require([("nn", name) for name in _made_by(recipe.call)])
        torch.default_generator.manual_seed(recipe.seed)
        if not is_written(recipe.row):  # what is done to what it is made of must not reach the law's
            call = recipe.call.with_arguments(lambda _, value: copied(value))
            recipe = dataclasses.replace(recipe, call=call)
        try:
            with quiet(), a_call():
                built = self.implementation.build(recipe)
                module: torch.nn.Module = self.implementation.moved(built)
                return module
        except BaseException as error:
            if is_not_of_what_is_judged(error):
                raise
            raise Raised("the module can't be made") from error

    @property
    def module(self) -> torch.nn.Module:
        """The module, which is called ``module`` in the code."""
        module: torch.nn.Module = self._names["module"]
        return module

    @property
    def last_output(self) -> Any:
        """What the last call returned, which lines call ``y``; the map it was given, where nothing was
        called."""
        calls = [step for step in self.steps if "y" in (step.code, step.name)]
        outputs = [call.result for call in calls if not isinstance(call.result, Refused)]
        return outputs[-1] if outputs else self._drawn

    @property
    def their_input(self) -> Any:
        """The implementation's own input of the last call."""
        return self._names["x"]

    def require(self, premise: Premise) -> None:
        """Raise NotOffered where the premise doesn't hold."""
        why_not = premise.why_not(self.implementation, self.recipe.row, self.recipe)
        if why_not is not None:
            raise NotOffered(why_not)

    @property
    def written(self) -> Recipe:
        """The recipe, where its arguments are those of the catalog's modules and can be changed."""
        self.require(WRITTEN)
        return self.recipe

    def make(self, name: str, recipe: Recipe) -> torch.nn.Module:
        """Make another module, under a name for the code."""
        try:
            made = self._names[name] = self._built(recipe)
        except (Raised, TookTooLong) as error:
            raised = error.__cause__ if isinstance(error, Raised) else error
            self.steps.append(Step(name, {name: recipe}, name, Refused(raised)))
            raise
        if not recipe.call.sets_parameters and list(made.parameters()):
            self.steps.append(Step(f"torch.manual_seed({recipe.seed})", {}, "", None))
        self.steps.append(Step(name, {name: recipe}, name, None))
        return made

    @property
    def properties(self) -> tuple[Labels, ...]:
        """The properties that were asked for, for every key of ``recipe.in_keys``."""
        self.require(PROPERTIES)
        assert self.recipe.properties is not None
        return self.recipe.properties

    @property
    def twin(self) -> Twin:
        """The plain torch module of every key."""
        self.require(TWIN)
        if self._twin is None:
            self._twin = Twin(self.recipe, self.device)
        return self._twin

    def require_steady_twin(self, x: TensorMap) -> None:
        """Raise NotOffered where the twin gives other values at every call: nothing can be compared with
        it."""
        first, second = self.twin(copied(x)), self.twin(copied(x))
        if compare(first, second) is not None:
            raise NotOffered("the twin gives other values at every call")

    def attempt(self, x: TensorMap) -> TensorMap | Refused:
        """``f(x)``, or the refusal where the implementation raises."""
        result: TensorMap | Refused = self.attempt_to_run(CALL, x=x)
        return result

    def __call__(self, x: TensorMap) -> TensorMap:
        """The output for ``x``. Raises Raised where the implementation raises."""
        result: TensorMap = self.run(CALL, x=x)
        return result

    def output_for(self, x: TensorMap) -> Any:
        """What the module makes of another map, which is no step of the law's; None where it raises."""
        try:
            with quiet(), torch.no_grad():
                theirs = self.module(self.implementation.to_theirs(copied(x)))
                return on_cpu(self.implementation.to_ours(theirs))
        except BaseException as error:
            if is_not_of_what_is_judged(error):
                raise
            return None

    def input_afterwards(self) -> TensorMap:
        """The input of the last call, decoded again."""
        after: TensorMap = on_cpu(self.implementation.decode(self.their_input))
        self.steps[-1] = dataclasses.replace(self.steps[-1], after=after)
        return after

    @property
    def parameters_code(self) -> str:
        """The code that gives the parameters, in the order of the twin's."""
        return self.implementation.parameters_code.format("module")

    def parameters(self, of: str = "module") -> dict[str, torch.Tensor]:
        """The parameters by the names of the twin's, or by their own where there is no twin; those of
        another module by its name in the code."""
        module = self._names[of]
        theirs = list(self.implementation.parameters(module))
        code = f"list({self.implementation.parameters_code.format(of)})"
        self.steps.append(Step(code, {}, code, theirs))
        if self.recipe.twins is None:
            return dict(module.named_parameters())
        names = self.twin.parameters()
        if len(names) != len(theirs):
            raise Raised(
                f"the module has {counted(len(theirs), 'parameter')}, its twins together {len(names)}"
            )
        return dict(zip(names, theirs, strict=True))

    def derivatives(self, x: TensorMap, cotangents: TensorMap) -> dict[str, torch.Tensor]:
        """∂(sum of f(x) times ``cotangents``) by the input's values, ``x[i]``, and by the parameters."""
        parameters, y = self.parameters(), self(x)
        self.steps[-1] = dataclasses.replace(self.steps[-1], cotangents=cotangents)
        of_outputs = [block.values for block in cotangents]
        return differentiate([b.values for b in y], x, parameters, of_outputs)

    def called_parts(self, x: TensorMap) -> list[tuple[torch.nn.Module, TensorMap]]:
        """The parts of the module that are called with a map where it is called with ``x``, itself
        included, each with its map."""
        called: list[tuple[torch.nn.Module, TensorMap]] = []

        def note(part: torch.nn.Module, given: tuple[Any, ...]) -> None:
            first = self.implementation.to_ours(given[0]) if given else None
            if isinstance(first, TensorMap):
                called.append((part, on_cpu(copied(first))))

        hooks = [part.register_forward_pre_hook(note) for part in self.module.modules()]
        try:
            with quiet():
                self.module(self.implementation.to_theirs(copied(x)))
        except BaseException as error:  # what is called before it raises is called
            if is_not_of_what_is_judged(error):
                raise
        finally:
            for hook in hooks:
                hook.remove()
        return called

    @property
    def further_inputs(self) -> Mapping[str, Any]:
        """What the module is given besides the map."""
        self.require(FURTHER_INPUTS)
        return self.recipe.call.kwargs

    def make_with(self, name: str, x: TensorMap, further: Mapping[str, Any]) -> None:
        """Make the module with other further inputs, under a name, for maps of the labels of ``x``."""
        call = dataclasses.replace(self.recipe.call, kwargs=dict(further))
        self.make(name, dataclasses.replace(self.recipe, call=call))
        self.takes(x)

    def takes(self, x: TensorMap) -> None:
        """Let lines be given maps of the labels of ``x``, which the row takes as well."""
        self._drawn = x

    def again(self, recipe: Recipe) -> ModuleSession:
        """Another module of the same implementation."""
        return ModuleSession(self.implementation, recipe, self.ways, self._drawn)
