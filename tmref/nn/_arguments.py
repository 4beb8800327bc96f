"""Checks of constructors' arguments, each in one place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ..labels import Labels
from ..printing import type_of


def checked_keys(in_keys: object) -> Labels:
    """``in_keys``, or TypeError."""
    if not isinstance(in_keys, Labels):
        raise TypeError(f"in_keys must be Labels, got {type_of(in_keys)}")
    return in_keys


def check_modules(modules: object, keys: Labels) -> None:
    """Raise TypeError for what is no list of modules, ValueError where they aren't one for every key."""
    if not isinstance(modules, (list, tuple, torch.nn.ModuleList)):
        raise TypeError(f"modules must be a list of torch.nn.Module, got {type(modules).__name__}")
    for module in modules:
        if not isinstance(module, torch.nn.Module):
            raise TypeError(
                f"modules must be a list of torch.nn.Module, got {type(module).__name__} in it"
            )
    if len(modules) != len(keys):
        raise ValueError(
            f"modules must have one module for each of the {len(keys)} keys, got {len(modules)}"
        )


def per_key(name: str, value: object, kind: type, keys: Labels) -> list[Any]:
    """One value for every key: ``value`` repeated, or the list that it is.

    Raises TypeError where a value is of another type than ``kind``, ValueError where the list has
    another length than the keys.
    """
    is_list = isinstance(value, (list, tuple))
    given: list[Any] = list(value) if is_list else [value]  # type: ignore[call-overload]
    if is_list and len(given) != len(keys):
        raise ValueError(
            f"{name} must have one value for each of the {len(keys)} keys, got {len(given)}"
        )
    for item in given:
        if not isinstance(item, kind) or (kind is int and isinstance(item, bool)):
            one = "" if kind is Labels else f"{kind.__name__} or "
            raise TypeError(
                f"{name} must be {one}a list of {kind.__name__}, one for each key, "
                f"got {item!r} of type {type_of(item)}"
            )
    return given if is_list else given * len(keys)


def sizes_per_key(name: str, value: object, keys: Labels) -> list[int]:
    """As :func:`per_key` for sizes. Raises ValueError where one is negative, too."""
    sizes = per_key(name, value, int, keys)
    check_not_negative(name, sizes, keys)
    if isinstance(value, int) and value < 0:
        raise ValueError(f"{name} must be at least 0, got {value}")
    return sizes


def check_not_negative(name: str, sizes: Sequence[int | None], keys: Labels) -> None:
    """Raise ValueError where a size of a key is negative; None is not."""
    for key, size in zip(keys, sizes, strict=True):
        if size is not None and size < 0:
            raise ValueError(f"{name} must be at least 0, got {size} for the key {key.print()}")


def checked_properties(out_properties: object, keys: Labels) -> list[Labels] | None:
    """``out_properties`` as a list with an entry for every key, or None where it is."""
    if out_properties is None:
        return None
    if isinstance(out_properties, Labels) or not isinstance(out_properties, Sequence):
        raise TypeError(
            f"out_properties must be a list of Labels, one for each key, got {type_of(out_properties)}"
        )
    properties = per_key("out_properties", list(out_properties), Labels, keys)
    for labels in properties:
        if labels.names != properties[0].names:
            raise ValueError(
                "out_properties must have the same dimensions for all keys, as the blocks of a map do, "
                f"got {properties[0].names} and {labels.names}"
            )
    return properties


#: The default of ``invariant_keys`` everywhere: what neither rotates nor changes sign on inversion.
INVARIANT = Labels(["o3_lambda", "o3_sigma"], torch.tensor([[0, 1]]))


def which_are_invariant(in_keys: Labels, invariant_keys: object) -> list[bool]:
    """Whether each of ``in_keys`` is selected by ``invariant_keys``, by default :data:`INVARIANT`.

    Raises TypeError for something other than labels, ValueError where they have dimensions that
    ``in_keys`` have not.
    """
    selection = INVARIANT if invariant_keys is None else invariant_keys
    if not isinstance(selection, Labels):
        raise TypeError(f"invariant_keys must be Labels, got {type_of(invariant_keys)}")
    known = checked_keys(in_keys).names
    unknown = [name for name in selection.names if name not in known]
    if unknown:
        raise ValueError(
            f"invariant_keys select by {selection.names}, but in_keys have no {unknown[0]!r}, they have "
            f"{in_keys.names}; give invariant_keys of dimensions that in_keys have"
        )
    rows = set(selection._entries())
    return [tuple(key[name] for name in selection.names) in rows for key in in_keys]


def per_invariant_key(
    name: str, value: object, kind: type, keys: Labels, which: list[bool]
) -> list[Any]:
    """As :func:`per_key` for what only invariant keys have: the list may be as long as there are keys,
    or as long as there are invariant ones. Entries of covariant keys are None."""
    if isinstance(value, (list, tuple)) and len(value) == sum(which) != len(keys):
        given = iter(value)
        filler = value[0] if value else kind()
        spread = per_key(name, [next(given) if is_one else filler for is_one in which], kind, keys)
    else:
        spread = per_key(name, value, kind, keys)
    return [item if is_one else None for item, is_one in zip(spread, which, strict=True)]


def out_sizes(out_features: object, properties: list[Labels] | None, keys: Labels) -> list[int]:
    """The features after a layer for every key, by ``out_features``, ``out_properties`` or both.

    Raises ValueError where they contradict each other.
    """
    if out_features is None:
        assert properties is not None, "one of them is there"
        return [len(labels) for labels in properties]
    sizes = sizes_per_key("out_features", out_features, keys)
    if properties is None:
        return sizes
    for key, size, labels in zip(keys, sizes, properties, strict=True):
        if size != len(labels):
            raise ValueError(
                f"out_features is {size} for the key {key.print()}, but its out_properties "
                f"have {len(labels)} entries; give one of them, or let them agree"
            )
    return sizes
