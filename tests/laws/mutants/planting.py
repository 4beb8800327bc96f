"""How defects are planted: what the files of mutants share.

``MUTANTS`` has the broken implementations by law, ``BROKEN_ADAPTERS`` those whose encoding is broken.
"""

import dataclasses
import functools
import types
from dataclasses import dataclass, field
from types import SimpleNamespace

import torch
from hypothesis import strategies as st

import tmref.nn
from tmref import Labels, TensorBlock, TensorMap, nn
from tmref.catalog import Kind, Row
from tmref.implementations.reference import Reference
from tmref.implementations.reference import implementation as reference
from tmref.laws.subject import own_recipes
from tmref.nn.covariant import CovariantTransform
from tmref.nn.layer_norm import _LayerNorm
from tmref.strategies import recipes

MUTANTS = []
BROKEN_ADAPTERS = []


@dataclass(frozen=True)
class Planted:
    """A defect that the law finds on the row.

    ``maps`` are options of its maps, for a defect that is to be seen on few of all maps; ``right`` is
    the same without the defect.
    """

    law: str
    row: str
    implementation: Reference
    maps: dict = field(default_factory=dict)
    right: Reference = reference

    def recipes(self, row, x, **options):
        """How the modules of the row are made."""
        if row in OWN_ROWS:
            return own_recipes(row, x, self.implementation, None)
        return recipes(row, x, **options)

    def narrowed(self, row):
        """The row with the maps that the defect is to be seen on."""
        return dataclasses.replace(row, maps={**row.maps, **self.maps})

    def __str__(self):
        return f"{self.law}-{self.implementation.name}-{self.row}"


#: Modules of one's own, with what no module of the catalog promises.
OWN_ROWS = (
    Row(
        "keeping", Kind("build"), frozenset({"keeps_keys", "keeps_properties", "deterministic", "pure"})
    ),
)


class Own(Reference):
    """The reference, whose one module is of one's own."""

    def __init__(self, name, forward):
        self.name = name
        self.nn = SimpleNamespace(build=lambda x: Around(torch.nn.Identity(), forward))


def own(law, row):
    """A defect of what ``(module, x)`` returns, for a module of one's own that is the identity."""

    def register(forward):
        right = Own("identity", lambda module, x: module(x))
        MUTANTS.append(Planted(law, row, Own(forward.__name__, forward), right=right))
        return forward

    return register


class Mutant(Reference):
    """The reference, with ``build(recipe, module)`` instead of the module."""

    def __init__(self, name, build):
        self.name = name
        self._build = build

    def build(self, recipe):
        return self._build(recipe, super().build(recipe))


class Changed(Reference):
    """The reference, whose output has the values ``change(values)``."""

    name = "changed"

    def __init__(self, change):
        self._change = change

    def build(self, recipe):
        module = super().build(recipe)
        module.register_forward_hook(lambda module, args, y: self._changed(y))
        return module

    def _changed(self, y):
        return TensorMap(
            y.keys,
            [TensorBlock(self._change(b.values), b.samples, b.components, b.properties) for b in y],
        )


class Around(torch.nn.Module):
    """``forward(module, x)`` instead of ``module(x)``."""

    def __init__(self, module, forward):
        super().__init__()
        self.module = module
        self._forward = forward

    def forward(self, x):
        return self._forward(self.module, x)


def built(law, *rows, **maps):
    """A defect of the module that ``(recipe, module)`` returns."""

    def register(build):
        mutant = Mutant(build.__name__, build)
        MUTANTS.extend(Planted(law, row, mutant, maps) for row in rows)
        return build

    return register


def called(law, *rows):
    """A defect of what ``(module, x)`` returns."""

    def register(forward):
        mutant = Mutant(forward.__name__, lambda recipe, module: Around(module, forward))
        MUTANTS.extend(Planted(law, row, mutant) for row in rows)
        return forward

    return register


def of_nn(law, *rows):
    """A defect of the classes that a function returns by name: they stand in the place of nn's."""

    def register(classes):
        mutant = Reference()
        mutant.name = classes.__name__
        mutant.nn = types.SimpleNamespace(**{**vars(nn), **classes()})
        MUTANTS.extend(Planted(law, row, mutant) for row in rows)
        return classes

    return register


def changed(block, **parts):
    """The block, gradients left out, with some parts replaced."""
    names = ("values", "samples", "components", "properties")
    return TensorBlock(*(parts.get(name, getattr(block, name)) for name in names))


def each(change, y):
    """The map with every block changed."""
    return TensorMap(y.keys, [change(block) for block in y])


def of_values(change, y):
    """The map with the values of every block changed."""
    return each(lambda block: changed(block, values=change(block.values)), y)


def modules_of(module):
    """The torch modules by position, and the map of them."""
    module_map = getattr(module, "module_map", module)
    return module_map.module_list, module_map


def all_of(module, kind):
    """The parts of a module that are of a class."""
    return [part for part in module.modules() if isinstance(part, kind)]


def layer_norm(law, *rows):
    """A defect of layer norms: ``(norm, x)`` returns the values before the weight and the bias."""

    def register(normed):
        def build(recipe, module):
            for norm in all_of(module, _LayerNorm):
                norm.forward = lambda x, norm=norm: affine(norm, normed(norm, x))
            return module

        build.__name__ = normed.__name__
        built(law, *rows)(build)
        return normed

    return register


def affine(norm, y):
    """Values times the weight plus the bias, where there are any."""
    y = y if norm.weight is None else y * norm.weight
    return y if norm.bias is None else y + norm.bias


def centred(norm, x, axes=None):
    """The values without their mean, where it is to be subtracted."""
    axes = all_but_the_first(x) if axes is None else axes
    return x - x.mean(axes, keepdim=True) if norm.mean else x


def variance(x, axes=None):
    """The mean square of what differs from the mean."""
    axes = all_but_the_first(x) if axes is None else axes
    return (x - x.mean(axes, keepdim=True)).square().mean(axes, keepdim=True)


def all_but_the_first(x):
    """The axes of components and properties."""
    return tuple(range(1, x.dim()))


def factor_of(law, *rows, **maps):
    """A defect of what covariant blocks are transformed by: ``(function, x)`` returns the values."""

    def register(transformed):
        def build(recipe, module):
            for part in all_of(module, CovariantTransform):
                part.forward = functools.partial(transformed, part.module)
            return module

        build.__name__ = transformed.__name__
        built(law, *rows, **maps)(build)
        return transformed

    return register


def norm_of(x):
    """The norm over the components."""
    return torch.linalg.vector_norm(x, dim=tuple(range(1, x.dim() - 1)), keepdim=True)


def norm_without_nan(x):
    """The norm over the components, with derivatives of 0 where it is 0."""
    zero = (x == 0).all(1, keepdim=True)
    return torch.where(zero, 0, norm_of(torch.where(zero, 1, x)))


#: The key of what doesn't rotate but changes sign: invariant or not by the selection alone.
PSEUDOSCALAR = st.just(Labels(["o3_lambda", "o3_sigma"], torch.tensor([[0, -1]])))


def data(law, *rows):
    """A defect of an implementation whose types are subclasses of the reference's."""

    def register(implementation):
        MUTANTS.extend(Planted(law, row, implementation()) for row in rows)
        return implementation

    return register


class OwnLabels(Reference):
    """The reference with a class of labels of its own."""

    def labels(self, labels):
        return self.Labels(labels.names, labels.values).to(labels.device)

    def decode_labels(self, labels):
        return Labels(labels.names, labels.values).to(labels.device)


def of_labels(law):
    """A defect of labels whose class this is."""

    def register(labels):
        class Own(OwnLabels):
            name = labels.__name__
            Labels = labels

        return data(law, "labels")(Own) and labels

    return register


def of_blocks(law):
    """A defect of blocks whose class this is."""

    def register(block):
        class Own(Reference):
            name = block.__name__
            TensorBlock = block

        return data(law, "tensor_block")(Own) and block

    return register


def of_maps(law):
    """A defect of maps whose class this is."""

    def register(tensor_map):
        class Own(Reference):
            name = tensor_map.__name__
            TensorMap = tensor_map

            def encode(self, tensor):
                return self.TensorMap(tensor.keys, list(tensor))

            def decode(self, tensor):
                return TensorMap(tensor.keys, list(tensor))

        return data(law, "tensor_map")(Own) and tensor_map

    return register


def changing(*laws):
    """A defect of a module, for the laws, each with the rows that it is on."""

    def register(build):
        for law, rows in laws:
            built(law, *rows)(build)
        return build

    return register


def override(module, name, function):
    """The module with a method ``function(super, *args)`` of its own, which copies keep."""
    kind = type(module)

    def method(self, *args, **kwargs):
        return function(getattr(super(made, self), name), *args, **kwargs)

    made = type(kind.__name__, (kind,), {name: method})
    module.__class__ = made
    return module


def module_of(method):
    """The module that a method is of."""
    return method.__self__


def custom(*laws):
    """A defect of the class that custom modules are made of."""

    def register(kind):
        made = Reference()
        made.name = kind.__name__
        made.nn = SimpleNamespace(**{**vars(tmref.nn), "Module": kind})
        MUTANTS.extend(Planted(law, "any_module", made) for law in laws)
        return kind

    return register
