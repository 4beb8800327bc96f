"""A law of operations one after the other: what is done to a map is done to its numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from hypothesis import strategies as st

from ...compare import Refused, compare
from ...strategies import dimension_names, keys, labels, tensor_maps
from ...tensor_map import TensorMap
from ..data._common import some_of, ways_of
from ..dense import PROPERTIES, SAMPLES, Dense, Row, labels_of, split, to_map, twins, united
from ..law import data_law
from ..session import Session, taken_in

#: An operation by its name, and what it was given besides the map.
Step = tuple[str, Any]


@dataclass(frozen=True)
class State:
    """The twin of a map: the names of its keys, and the twins of its blocks."""

    names: Sequence[str]
    blocks: Mapping[Row, Dense]

    @staticmethod
    def of(x: TensorMap) -> State:
        return State(x.keys.names, twins(x))

    def each(self, function: Callable[[Dense], Dense]) -> State:
        return replace(self, blocks={key: function(block) for key, block in self.blocks.items()})

    def names_on(self, axis: int) -> list[str]:
        """The names of the samples' or the properties' dimensions; none where there are no blocks."""
        return list(next((block.names[axis] for block in self.blocks.values()), ()))

    def has_gradients(self) -> bool:
        return any(block.gradients for block in self.blocks.values())


@dataclass(frozen=True)
class Operation:
    """What can be done to a map: ``code`` of ``x`` and an argument ``a``, or a function of the argument
    that gives it; what that is drawn from, None where the operation is none for such a map; and what
    becomes of the twin. It ``may_be_refused`` where no document says that it can be done."""

    code: str | Callable[[Any], str]
    twin: Callable[[State, Any], State]
    argument: Callable[[State], st.SearchStrategy[Any] | None] = lambda state: st.none()
    may_be_refused: Callable[[State], bool] = lambda state: False

    def code_for(self, argument: Any) -> str:
        return self.code if isinstance(self.code, str) else self.code(argument)


def _shifted(state: State, a: float) -> State:
    return state.each(lambda b: b.with_numbers(lambda _, n: n + a, lambda *of: of[-1]))


def _scaled(state: State, a: float) -> State:
    return state.each(lambda b: b.with_numbers(lambda _, n: n * a, lambda *of: of[-1] * a))


def _squared(state: State, a: None) -> State:
    def squared(block: Dense) -> Dense:
        return block.with_numbers(
            lambda _, n: n * n, lambda name, cell, of, n: 2 * block.numbers[of] * n
        )

    return state.each(squared)


def _names_to_sum(axis: int) -> Callable[[State], st.SearchStrategy[Any] | None]:
    def names(state: State) -> st.SearchStrategy[Any] | None:
        there = state.names_on(axis)
        # no document says what a sum over everything is called
        return some_of(there).filter(lambda some: len(some) < len(there)) if len(there) > 1 else None

    return names


def _summed(axis: int) -> Callable[[State, Any], State]:
    def summed(state: State, a: Sequence[str]) -> State:
        def of(block: Dense) -> Dense:
            left = [i for i, name in enumerate(block.names[axis]) if name not in a]
            names = [block.names[axis][i] for i in left]
            return block.moved(axis, lambda row: tuple(row[i] for i in left), names)

        return state.each(of)

    return summed


def _names_to_move(axis: int) -> Callable[[State], st.SearchStrategy[Any] | None]:
    def names(state: State) -> st.SearchStrategy[Any] | None:
        free = [name for name in state.names if name not in state.names_on(axis)]
        # no document says what the key is called where no dimension is left
        every = [[name] for name in free if state.blocks and len(state.names) > 1]
        fitting = [
            some for some in every if _fit(axis, split(state.names, state.blocks, some)[1].values())
        ]
        return st.sampled_from(fitting) if fitting else None

    return names


def _fit(axis: int, groups: Iterable[Sequence[tuple[Row, Dense]]]) -> bool:
    """Whether blocks can become one: of the same components, and properties where they come below each
    other, and their gradients, too."""

    def of(block: Dense) -> Any:
        rows = block.rows[1:] if axis == SAMPLES else block.rows[1:-1]
        return rows, {name: of(gradient) for name, gradient in block.gradients.items()}

    return all(of(block) == of(group[0][1]) for group in groups for _, block in group)


def _moved(axis: int) -> Callable[[State, Any], State]:
    def moved(state: State, a: Sequence[str]) -> State:
        def merged(group: Sequence[tuple[Row, Dense]]) -> Dense:
            names = group[0][1].names[axis]
            names = (*names, *a) if axis == SAMPLES else (*a, *names)

            def of(entry: Row, block: Dense) -> Dense:
                if axis == SAMPLES:
                    return block.moved(axis, lambda row: (*row, *entry), names)
                return block.moved(axis, lambda row: (*entry, *row), names)

            return united([of(*one) for one in group])

        left, groups = split(state.names, state.blocks, a)
        return State(left, {key: merged(group) for key, group in groups.items()})

    return moved


def _some_keys(state: State) -> st.SearchStrategy[Any]:
    """Labels of some of the keys, and perhaps of one that no block has."""
    there = list(state.blocks)
    other = tuple(7 for _ in state.names)
    return st.lists(st.sampled_from([*there, other]), unique=True, max_size=len(there) + 1).map(
        lambda rows: labels_of(state.names, rows)
    )


def _filtered(state: State, a: Any) -> State:
    wanted = set(map(tuple, a.values.tolist()))
    return replace(state, blocks={key: b for key, b in state.blocks.items() if key in wanted})


def _converted(state: State, a: torch.dtype) -> State:
    def of(block: Dense) -> Dense:
        gradients = {name: of(gradient) for name, gradient in block.gradients.items()}
        return replace(block, dtype=a, gradients=gradients)

    return state.each(of)


_NUMBERS = st.sampled_from([2, -1, 0.5, 0, 1.5])

#: What programs are made of, by name: exact on small whole numbers. Other chapters add theirs here.
OPERATIONS: dict[str, Operation] = {
    "add": Operation("operations.add(x, a)", _shifted, lambda state: _NUMBERS),
    "double": Operation("operations.add(x, x)", lambda state, a: _scaled(state, 2)),
    "multiply": Operation("operations.multiply(x, a)", _scaled, lambda state: _NUMBERS),
    "square": Operation("operations.multiply(x, x)", _squared, may_be_refused=State.has_gradients),
    "sum_over_samples": Operation(
        *("operations.sum_over_samples(x, a)", _summed(SAMPLES), _names_to_sum(SAMPLES)),
        may_be_refused=State.has_gradients,
    ),
    "sum_over_properties": Operation(
        *("operations.sum_over_properties(x, a)", _summed(PROPERTIES), _names_to_sum(PROPERTIES)),
        may_be_refused=State.has_gradients,
    ),
    "keys_to_samples": Operation("x.keys_to_samples(a)", _moved(SAMPLES), _names_to_move(SAMPLES)),
    "keys_to_properties": Operation(
        "x.keys_to_properties(a)", _moved(PROPERTIES), _names_to_move(PROPERTIES)
    ),
    "filter_blocks": Operation("operations.filter_blocks(x, a)", _filtered, _some_keys),
    "remove_gradients": Operation(
        "operations.remove_gradients(x)", lambda state, a: state.each(lambda b: replace(b, gradients={}))
    ),
    "to": Operation(
        "x.to(dtype=a)", _converted, lambda state: st.sampled_from([torch.float32, torch.float64])
    ),
    "copy": Operation(
        lambda way: way, lambda state, a: state, lambda state: st.sampled_from(ways_of("TensorMap"))
    ),
}

_KEYS = keys(names=dimension_names(min_size=2), values=st.integers(0, 2))


def _maps(**options: Any) -> st.SearchStrategy[TensorMap]:
    """Maps of small whole numbers, whose labels agree in some dimensions."""
    few = st.integers(0, 2)
    samples = labels(names=st.just(("system", "atom")), values=few, max_size=4)
    properties = labels(names=st.just(("n", "l")), values=few, min_size=1, max_size=3)
    axes: dict[str, Any] = {"samples": samples, "properties": properties}
    maps = tensor_maps(keys=_KEYS, **axes, bound=16, max_gradients=1, **options)
    return maps.map(lambda x: x._map_blocks(lambda block: block._map_values(torch.round)))


_MAPS = _maps(component_names=st.just(())) | _maps()


@st.composite
def programs(draw: Any, x: TensorMap, offered: Callable[[str], bool]) -> list[Step]:
    """Up to four operations, each with what it is given: such as can be done to what came of the ones
    before. ``offered`` says of code whether it can be run at all."""
    state, steps = State.of(x), []
    for _ in range(draw(st.integers(1, 4))):
        drawn = {name: op.argument(state) for name, op in OPERATIONS.items()}
        possible = [name for name, argument in drawn.items() if argument is not None]
        name = draw(st.sampled_from(possible))
        argument = draw(drawn[name])
        if offered(OPERATIONS[name].code_for(argument)):
            steps.append((name, argument))
            state = OPERATIONS[name].twin(state, argument)
    return steps


@data_law("operations", _MAPS, ways=ways_of("TensorMap"), as_it_came=True)
def whatever_is_done_to_a_map_is_done_to_its_numbers(f: Session, x: Any, draw: Any) -> Any:
    """Operations one after the other make of a map what they make of a dictionary from full label rows
    to numbers, and none changes what another one gave. [doc] of each of them, as in its own law; [maths]
    what is right of each is right of all."""

    def offered(code: str) -> bool:
        return f.has(taken_in(code)) and (code in f.ways or code not in ways_of("TensorMap"))

    program = draw(programs(x, offered), label="program")
    state, results, states = State.of(x), ["x"], [State.of(x)]
    for i, (name, argument) in enumerate(program, 1):
        operation = OPERATIONS[name]
        code = re.sub(r"\bx\b", results[-1], operation.code_for(argument))
        code = f"y_{i} = " + re.sub(r"\ba\b", f"a_{i}", code)
        given = {f"a_{i}": argument} if f"a_{i}" in code else {}
        given |= {"x": x} if i == 1 else {}
        run = f.attempt_to_run if operation.may_be_refused(state) else f.run
        y = run(code, **given)
        if isinstance(y, Refused):
            break
        state = operation.twin(state, argument)
        expected = to_map(state.names, state.blocks, y)
        if compare(y, expected) is not None:
            return y, expected
        results.append(f"y_{i}")
        states.append(state)
    if len(results) == 1:
        return None
    found = f.run(f"[{', '.join(results)}]")
    pairs = zip(states, found, strict=True)
    return found, [to_map(state.names, state.blocks, y) for state, y in pairs]
