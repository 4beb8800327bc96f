"""Checks of constructors' arguments, each in one place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..labels import Labels


def checked_keys(in_keys: object) -> Labels:
    """``in_keys``, or TypeError."""
    if not isinstance(in_keys, Labels):
        raise TypeError(f"in_keys must be Labels, got {type(in_keys).__name__}")
    return in_keys


def per_key(name: str, value: object, kind: type, keys: Labels) -> list[Any]:
    """One value for every key: ``value`` repeated, or the list that it is.

    Raises TypeError where a value is of another type than ``kind``, ValueError where the list has
    another length than the keys.
    """
    values = list(value) if isinstance(value, (list, tuple)) else [value] * len(keys)
    if len(values) != len(keys):
        raise ValueError(
            f"{name} must have one value for each of the {len(keys)} keys, got {len(values)}"
        )
    for item in [value] if not isinstance(value, (list, tuple)) else values:
        if not isinstance(item, kind) or (kind is int and isinstance(item, bool)):
            one = "" if isinstance(value, Sequence) and kind is Labels else f"{kind.__name__} or "
            raise TypeError(
                f"{name} must be {one}a list of {kind.__name__}, one for each key, "
                f"got {item!r} of type {type(item).__name__}"
            )
    return values


def sizes_per_key(name: str, value: object, keys: Labels) -> list[int]:
    """As :func:`per_key` for sizes. Raises ValueError where one is negative, too."""
    sizes = per_key(name, value, int, keys)
    for key, size in zip(keys, sizes, strict=True):
        if size < 0:
            raise ValueError(f"{name} must be at least 0, got {size} for the key {key.print()}")
    if isinstance(value, int) and value < 0:
        raise ValueError(f"{name} must be at least 0, got {value}")
    return sizes


def checked_properties(out_properties: object, keys: Labels) -> list[Labels] | None:
    """``out_properties`` as a list with an entry for every key, or None where it is."""
    if out_properties is None:
        return None
    if isinstance(out_properties, Labels) or not isinstance(out_properties, Sequence):
        raise TypeError(
            "out_properties must be a list of Labels, one for each key, "
            f"got {type(out_properties).__name__}"
        )
    return per_key("out_properties", list(out_properties), Labels, keys)
