"""What strategies ask of their options: names, flags, labels, maps and blocks. Sizes and strategies are
checked in :mod:`numbers`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

from hypothesis.errors import InvalidArgument

from tmref import Labels, TensorBlock, TensorMap
from tmref.labels import _NAME, _checked_names
from tmref.printing import meant, type_of

if TYPE_CHECKING:
    import torch
    from hypothesis import strategies as st


class ValueOptions(TypedDict, total=False):
    """The options of :func:`array_values`, which strategies of blocks and maps take, too."""

    dtypes: st.SearchStrategy[torch.dtype]
    bound: int | None
    wide: bool | tuple[float, float]
    allow_nan: bool
    allow_infinity: bool
    allow_subnormal: bool
    layouts: st.SearchStrategy[str] | None
    requires_grad: st.SearchStrategy[bool] | None
    devices: st.SearchStrategy[torch.device] | None


def option_names(define: Callable[..., Any]) -> tuple[str, ...]:
    """The names of all that a strategy takes, with those of values where it takes them."""
    parameters = inspect.signature(define).parameters.values()
    named = tuple(p.name for p in parameters if p.kind is not p.VAR_KEYWORD)
    return named if len(named) == len(parameters) else (*named, *ValueOptions.__annotations__)


def check_option_names(of: str, given: Iterable[str], known: Sequence[str]) -> None:
    """InvalidArgument, which is a TypeError, unless the strategy takes what is given."""
    for name in given:
        if name not in known:
            there = f"there are {', '.join(known)}" if known else "it takes none"
            remedy = meant(name, known, there)
            raise InvalidArgument(f"{of} has no option {name!r}; {remedy}")


def check_flags(**flags: object) -> None:
    """InvalidArgument unless each is True or False."""
    for name, flag in flags.items():
        if not isinstance(flag, bool):
            raise InvalidArgument(f"{name}={flag!r} must be True or False")


def check_map(of: str, tensor: object) -> None:
    """InvalidArgument unless what a strategy takes is a map."""
    if not isinstance(tensor, TensorMap):
        is_block = isinstance(tensor, TensorBlock)
        remedy = "; a map of one block is TensorMap(Labels.single(), [block])" if is_block else ""
        raise InvalidArgument(f"{of}: tensor must be a TensorMap, got {type_of(tensor)}{remedy}")


def check_block(of: str, block: object) -> None:
    """InvalidArgument unless what a strategy takes is a block."""
    if not isinstance(block, TensorBlock):
        remedy = "; give one of its blocks: tensor.block(0)" if isinstance(block, TensorMap) else ""
        raise InvalidArgument(f"{of}: block must be a TensorBlock, got {type_of(block)}{remedy}")


def is_sequence(thing: object) -> bool:
    """Whether it is a sequence, and no string, which would be one of letters."""
    return isinstance(thing, Sequence) and not isinstance(thing, str)


def is_name(name: object) -> bool:
    """Whether a dimension of labels can be called so."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def checked_names(option: str, names: Any, before: Sequence[str] = ()) -> tuple[str, ...]:
    """Those ``before`` and the names that an option gives as a sequence, or as those of a mapping.
    Raises InvalidArgument where labels can't have them.
    """
    if not is_sequence(names) and not isinstance(names, Mapping):
        remedy = f"; for one name: [{names!r}]" if isinstance(names, str) else ""
        raise InvalidArgument(f"{option}={names!r} must be a list of names{remedy}")
    try:
        return _checked_names((*before, *names))
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"{option}={names!r}: {error}") from None


def checked_labels(option: str, drawn: Any) -> Labels:
    """The labels that a strategy gave. Raises InvalidArgument where it gave something else."""
    if not isinstance(drawn, Labels):
        raise InvalidArgument(f"{option} must give tmref's Labels, got {drawn!r}")
    return drawn


def checked_components(option: str, drawn: Any) -> list[Labels]:
    """The components that a strategy gave. Raises InvalidArgument where no block can have them."""
    if not isinstance(drawn, (list, tuple)) or not all(isinstance(axis, Labels) for axis in drawn):
        remedy = "; for one component: [labels]" if isinstance(drawn, Labels) else ""
        raise InvalidArgument(f"{option} must give lists of tmref's Labels, got {drawn!r}{remedy}")
    for axis in drawn:
        if len(axis.names) != 1 or not len(axis):
            raise InvalidArgument(
                f"{option} gave {axis!r}; each must have one dimension and at least one entry"
            )
    names = [axis.names[0] for axis in drawn]
    if len(set(names)) != len(names):
        raise InvalidArgument(f"{option} gave the names {names}; each must have another one")
    return list(drawn)
