"""What modules promise."""

from __future__ import annotations

from collections.abc import Iterable

#: What a row, or a module of one's own, can promise. Laws name traits, never classes.
TRAITS: dict[str, str] = {
    "keeps_keys": "the keys of the input are the keys of the output, in order",
    "keeps_samples": "every block keeps its samples",
    "keeps_components": "every block keeps its components",
    "keeps_properties": "every block keeps its properties",
    "label_free": "it reads no names and integers of samples, components and properties",
    "pure": "a forward leaves its input as it was",
    "per_block": "the output of a block depends on that block and its key, not on its position",
    "per_sample": "the output of a sample depends on that sample alone",
    "keyed": "every key has a module of its own, and other keys have none",
    "linear": "linear up to a bias: f(ax + by) - f(0) = a(f(x) - f(0)) + b(f(y) - f(0))",
    "pointwise": "every value of the output depends on the one value in its place",
    "deterministic": "one input gives one output, in training or not: no random numbers, no state",
    "equivariant": "the output for a rotated map of spherical tensors is the rotated output",
    "invariant": "the output for a rotated map of spherical tensors is the output",
    "shared": "all blocks are treated alike, whatever their keys are",
    "aggregates": "samples that share the rest of their dimensions become one: `aggregates('atom')`",
    "matches_labels": "samples and blocks of several inputs are matched by their labels",
    "leaves_out_gradients": "explicit gradients are left out of the output",
    "composed": "the layers it is given are applied one after the other",
    "seeded": "the initial parameters are those of torch's modules, made for one key after the other",
    "sized": "it is told the number of features, and the dtype and the device of its parameters",
    "normalised": "the values of every sample are divided by their standard deviation",
    "may_overwrite": "it can be told to overwrite the values of its input",
}

#: What depends on its input alone does not depend on chance.
OF_THE_INPUT_ALONE = (
    *("per_block", "per_sample", "linear", "pointwise", "equivariant", "label_free"),
    *("invariant", "aggregates"),
)
#: What is said by names of dimensions.
OF_NAMES = ("aggregates",)
#: What is conceded rather than promised: nobody is told that it holds.
CONCESSIONS = ("leaves_out_gradients",)


class Trait(str):
    """A trait by its name, with the ``names`` of dimensions that it is about."""

    names: tuple[str, ...]

    def __new__(cls, name: str, names: tuple[str, ...]) -> Trait:
        made = super().__new__(cls, name)
        made.names = names
        return made

    def __repr__(self) -> str:
        return f"{self}({', '.join(map(repr, self.names))})"


def aggregates(*names: str) -> Trait:
    """The trait of what makes one sample of all those that differ in the dimensions ``names`` alone, as
    a sum over atoms: the samples of the output are the rest of the dimensions, each that is there once.

    Raises TypeError for names that are no strings, or none, and ValueError for one that is there twice.
    """
    if not names or not all(isinstance(name, str) for name in names):
        raise TypeError(f"aggregates takes the names of dimensions of samples, got {names!r}")
    if len({*names}) < len(names):
        raise ValueError(f"aggregates takes each dimension once, got {names!r}")
    return Trait("aggregates", names)


def with_implied(traits: Iterable[str]) -> frozenset[str]:
    """The traits, and deterministic where one of them says what alone the output depends on."""
    found = frozenset(traits)
    return found | {"deterministic"} if found & {*OF_THE_INPUT_ALONE} else found
