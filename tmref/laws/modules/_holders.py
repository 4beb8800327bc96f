"""Modules with data of their own: the code that makes them, and what is to become of their data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from hypothesis import strategies as st

from ...block import TensorBlock
from ...compare import Refused
from ...strategies import dtypes
from ...tensor_map import TensorMap
from ..edits import disguised_labels
from ..session import Session, taken_in

#: How data is registered, where ``persistent`` says whether it is part of the state dict,
_REGISTERED = (
    "self.register_buffer(name, value, persistent=persistent)",
    "self.register_buffer(name, value, persistent)",
    "setattr(self, name, nn.Buffer(value, persistent))",
    "setattr(self, name, nn.Buffer(value, persistent=persistent))",
)
#: and where it is.
_REGISTERED_BY_DEFAULT = ("self.register_buffer(name, value)", "setattr(self, name, nn.Buffer(value))")
_HOLDER = """class Holder(nn.Module):
    def __init__(self, persistent=True, **values):
        super().__init__()
        for name, value in values.items():
            {}"""
#: The module itself, or one of plain torch that it is a part of, and the way from there to it.
WITHIN = (
    ("holder", ""),
    ("torch.nn.ModuleList([holder])", "[0]"),
    ("torch.nn.Sequential(torch.nn.Tanh(), torch.nn.ModuleDict({'a': holder}))", "[1]['a']"),
)


def nests(leaves: Sequence[str] = ("x", "x.keys", "x.block(0)", "x.block(0).samples")) -> Any:
    """The code of nests of a map, of its keys, of a block of it and labels of that, or of nothing."""
    empty = st.sampled_from(["[]", "{}", "()"])

    def nest(inner: Any) -> Any:
        items = st.lists(inner, min_size=1, max_size=3)
        return st.one_of(
            items.map(lambda codes: f"[{', '.join(codes)}]"),
            items.map(lambda codes: f"({', '.join(codes)},)"),
            items.map(lambda codes: f"{{{', '.join(f'{i!r}: {c}' for i, c in _named(codes))}}}"),
        )

    leaf = st.sampled_from(leaves)
    deep = st.recursive(leaf | leaf | empty, nest, max_leaves=4).filter(lambda code: "x" in code)
    return leaf | nest(leaf | empty | leaf).filter(lambda code: "x" in code) | deep | empty


def _named(codes: Sequence[str]) -> list[tuple[str | int, str]]:
    return list(zip(("a", 1, "b"), codes, strict=False))


def code_for(nest: str, x: TensorMap) -> str:
    """The code for this map: where it has no blocks, with itself in their place."""
    if len(x):
        return nest
    return nest.replace("x.block(0).samples", "x.keys").replace("x.block(0)", "x")


def value_of(code: str, x: TensorMap) -> Any:
    return eval(code, {"x": x})


def each(nest: Any, function: Callable[[Any], Any]) -> Any:
    """A nest with ``function`` of the data in it."""
    if isinstance(nest, dict):
        return {key: each(item, function) for key, item in nest.items()}
    if isinstance(nest, (list, tuple)):
        return type(nest)(each(item, function) for item in nest)
    return function(nest)


def of_values(function: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Any], Any]:
    """The function of the values of maps and blocks, gradients' included; labels stay."""

    def of_data(data: Any) -> Any:
        if isinstance(data, TensorMap):
            return TensorMap(data.keys, [block._map_values(function) for block in data])
        return data._map_values(function) if isinstance(data, TensorBlock) else data

    return of_data


def as_torch(conversion: str) -> Callable[[torch.Tensor], torch.Tensor]:
    """What a conversion makes of a buffer of a torch.nn.Module."""

    def converted(values: torch.Tensor) -> torch.Tensor:
        module = torch.nn.Module()
        module.register_buffer("values", values)
        eval(f"module{conversion}", {"module": module, "torch": torch})
        return module.get_buffer("values")

    return converted


def disguised(x: TensorMap) -> TensorMap:
    """A map of the same shapes, where all else is different: labels and values."""

    def of_block(block: TensorBlock) -> TensorBlock:
        new = TensorBlock(
            1 - block.values if block.dtype != torch.bool else ~block.values,
            disguised_labels(block.samples),
            [disguised_labels(component) for component in block.components],
            disguised_labels(block.properties),
        )
        for parameter, gradient in block.gradients():
            components = gradient.components
            extra = len(components) - len(block.components)
            components = [*components[:extra], *new.components]
            values = 1 - gradient.values
            new.add_gradient(
                parameter, TensorBlock(values, gradient.samples, components, new.properties)
            )
        return new

    return TensorMap(disguised_labels(x.keys), [of_block(block) for block in x])


def must_be_refused(result: Any) -> Any:
    """The sides of what must be refused."""
    return result, Refused()


def define_holder(f: Session, draw: Any, *, persistent: bool = True) -> None:
    """Define ``Holder``, a module that registers what it is given by name."""
    all_ways = (*_REGISTERED, *(_REGISTERED_BY_DEFAULT if persistent else ()))
    ways = [way for way in all_ways if f.has(taken_in(way))]
    f.run(_HOLDER.format(draw(st.sampled_from(ways), label="registered")))


def make_holder(
    f: Session, x: TensorMap, draw: Any, *, nest: Any = None, persistent: bool = True
) -> str:
    """Make ``holder``, a module whose ``value`` is a nest of parts of ``x``. Returns the nest's code."""
    define_holder(f, draw, persistent=persistent)
    code = code_for(draw(nests() if nest is None else nest, label="nest"), x)
    f.run(f"value = {code}", x=x)
    f.run(f"holder = Holder(persistent={persistent}, value=value)")
    return code


FLOATS = {
    "dtypes": dtypes(allow_half=True),
    "max_gradients": 1,
    "min_blocks": 1,
    "max_blocks": 2,
}
ANY_DTYPE = {
    "dtypes": dtypes(allow_half=True, allow_integers=True, allow_complex=True),
    "max_blocks": 2,
}
#: The dtypes that a file can have.
STORED = {
    "dtypes": dtypes(allow_half=True, allow_integers=True, allow_complex=True).filter(
        lambda dtype: dtype != torch.bfloat16
    ),
    "max_gradients": 1,
    "max_blocks": 2,
}
