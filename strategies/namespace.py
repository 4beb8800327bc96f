"""The same strategies for the objects of any implementation."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

from tmref import Labels, Permutation, Rotation, TensorBlock, TensorMap
from tmref.block import block_source
from tmref.implementations import Implementation, load
from tmref.labels import labels_source
from tmref.printing import source_of
from tmref.tensor_map import map_source

from ._internals import printed_as
from ._strategy import call_source
from .actions import permutations, rotations, sub_maps
from .axes import (
    components,
    dimension_names,
    keys,
    label_values,
    labels,
    properties,
    samples,
    spherical_components,
    spherical_keys,
)
from .invalid import Invalid, invalid_blocks, invalid_labels, invalid_maps
from .invalid_modules import invalid_recipes
from .maps import gradients, like, tensor_blocks, tensor_maps
from .numbers import dyadic_numbers, unit_bound
from .printing import as_code
from .recipes import recipes
from .systems import all_pairs_of, labels_of, systems_and_atoms
from .values import array_values, dtypes, layouts

#: Options that are strategies of labels.
_OF_LABELS = ("keys", "samples", "components", "properties", "gradient_components")
#: The strategies that are bound to an implementation,
_BOUND: tuple[Callable[..., Any], ...] = (
    all_pairs_of,
    array_values,
    components,
    dimension_names,
    dtypes,
    dyadic_numbers,
    gradients,
    invalid_blocks,
    invalid_labels,
    invalid_maps,
    invalid_recipes,
    keys,
    label_values,
    labels,
    labels_of,
    layouts,
    like,
    permutations,
    properties,
    recipes,
    rotations,
    samples,
    spherical_components,
    spherical_keys,
    sub_maps,
    systems_and_atoms,
    tensor_blocks,
    tensor_maps,
)
#: and what is no strategy, and the same for all of them.
_AS_THEY_ARE: tuple[Callable[..., Any], ...] = (Invalid, unit_bound)


def make_strategies_namespace(implementation: Implementation | str) -> Any:
    """All strategies of this module, but with the objects of the ``implementation``, given by itself or
    by its name: ``metatensor-torch``, ``metatensor-learn``, one's own.

    ``namespace.tensor_maps()`` draws its TensorMaps, ``namespace.like(x)`` takes them, and so on; the
    options are the same. The same choices of Hypothesis give the same data for every implementation.
    Counterexamples print as code for that implementation; ``namespace.imports`` are the lines that the
    code needs. What acts on maps (:func:`permutations`, :func:`rotations`) takes and returns theirs.
    Raises :class:`tmref.implementations.UnknownImplementation` for a name that there is not.

    >>> mts = make_strategies_namespace("metatensor-torch")
    >>> x = find(mts.tensor_maps(), lambda x: len(x) == 1)
    >>> print(x)
    TensorMap with 1 block
        keys: [key]
        blocks:
           0   => TensorBlock with shape (0, 0)
    """
    if isinstance(implementation, str):
        implementation = load(implementation)
    bound = {make.__name__: _bound(make, implementation) for make in _BOUND}
    bound.update((thing.__name__, thing) for thing in _AS_THEY_ARE)
    bound[as_code.__name__] = functools.wraps(as_code)(functools.partial(_as_code, implementation))
    imports = (*implementation.imports, "from tmref import Permutation, Rotation, with_gradients")
    return Namespace(implementation.name, imports=imports, **bound)


class Namespace(SimpleNamespace):
    """The strategies of one implementation."""

    def __init__(self, implementation: str, **strategies: Any) -> None:
        super().__init__(**strategies)
        self.__implementation = implementation

    def __repr__(self) -> str:
        return f"make_strategies_namespace({self.__implementation!r})"


def _bound(make: Callable[..., Any], implementation: Implementation) -> Callable[..., Any]:
    """The strategy ``make`` for the objects of an implementation."""

    @functools.wraps(make)
    def made(*args: Any, **kwargs: Any) -> Any:
        given = {
            name: _labels_of(name, value, implementation)
            if name in _OF_LABELS
            else _to_ours(value, implementation)
            for name, value in kwargs.items()
        }
        ours = make(*(_to_ours(arg, implementation) for arg in args), **given)
        return _Converted(
            ours,
            lambda drawn: _to_theirs(drawn, implementation),
            functools.partial(call_source, make, *args, **kwargs),
        )

    return made


class _Converted(st.SearchStrategy[Any]):
    """What a strategy draws, converted, and printed as ``call`` says.

    It is no draw of its own, as ``map`` is: Hypothesis, which mutates by draws, makes the same choices.
    """

    def __init__(
        self, drawn: st.SearchStrategy[Any], convert: Callable[[Any], Any], call: Callable[[], str]
    ) -> None:
        super().__init__()
        self._drawn, self._convert, self._call = drawn, convert, call

    def do_draw(self, data: Any) -> Any:
        return self._convert(self._drawn.do_draw(data))

    def do_validate(self) -> None:
        self._drawn.validate()

    def calc_label(self) -> int:
        return self._drawn.label

    def __repr__(self) -> str:
        return self._call()


def _as_code(implementation: Implementation, thing: Any) -> Any:
    """Theirs, which prints as the code that makes it."""
    return printed_as(thing, lambda: _code_of(implementation.to_ours(thing), implementation))


def _to_ours(thing: Any, implementation: Implementation) -> Any:
    """Our map or block for one of theirs."""
    if isinstance(thing, (TensorMap, TensorBlock)):
        return thing
    if hasattr(thing, "block_by_id"):
        return implementation.decode(thing)
    return implementation.decode_block(thing) if hasattr(thing, "samples") else thing


def _labels_of(name: str, option: Any, implementation: Implementation) -> Any:
    """A strategy of our labels for the ``option`` of this name, which is one of theirs."""
    if not isinstance(option, st.SearchStrategy):
        return option

    def ours(drawn: Any) -> Any:
        if isinstance(drawn, (list, tuple)):
            return list(map(ours, drawn))
        if isinstance(drawn, Labels):
            return drawn
        try:
            return implementation.decode_labels(drawn)
        except (AttributeError, TypeError, ValueError) as error:
            lists = "lists of " if name.endswith("components") else ""
            raise InvalidArgument(
                f"{name} must give {lists}{implementation.name}'s Labels, "
                f"got a {type(drawn).__name__}: {drawn!r}"
            ) from error

    return _Converted(option, ours, lambda: repr(option))


def _to_theirs(thing: Any, implementation: Implementation) -> Any:
    """Theirs for what was drawn, which prints as the code that makes it."""
    for kind, encode in (
        (Labels, implementation.labels),
        (TensorBlock, implementation.encode_block),
        (TensorMap, implementation.encode),
    ):
        if isinstance(thing, kind):
            return printed_as(encode(thing), lambda: _code_of(thing, implementation))
    if isinstance(thing, list) and all(isinstance(item, Labels) for item in thing):
        return [_to_theirs(item, implementation) for item in thing]
    if isinstance(thing, (Permutation, Rotation)):
        return Action(thing, implementation)
    return thing


def _code_of(thing: Any, implementation: Implementation) -> str:
    """The code that makes what is ours, as theirs."""
    array = implementation.labels_array
    if isinstance(thing, Labels):
        return labels_source(thing, array)
    if isinstance(thing, TensorBlock):
        return block_source(thing, array)
    return map_source(thing, array) if isinstance(thing, TensorMap) else source_of(thing)


@dataclass(frozen=True, repr=False)
class Action:
    """A permutation or rotation that acts on the maps of an implementation."""

    action: Permutation | Rotation
    implementation: Implementation

    def __call__(self, tensor: Any) -> Any:
        """Their map, acted upon."""
        return self.implementation.encode(self.action(self.implementation.decode(tensor)))

    def __getattr__(self, name: str) -> Any:
        if name in ("action", "implementation") or name.startswith("__"):  # while it is copied
            raise AttributeError(name)
        return getattr(self.action, name)

    def __repr__(self) -> str:
        return repr(self.action)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self.action))
