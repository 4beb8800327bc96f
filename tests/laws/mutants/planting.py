"""How defects are planted: what the files of mutants share.

``MUTANTS`` has the broken implementations by law, ``BROKEN_ADAPTERS`` those whose encoding is broken.
"""

import dataclasses
import functools
import types
from dataclasses import dataclass, field

import torch
from hypothesis import strategies as st

import tmref.nn
import tmref.operations
from tmref import Labels, TensorBlock, TensorMap, catalog, nn
from tmref.catalog import ArgumentStyle, aggregates
from tmref.implementations import Example
from tmref.implementations.reference import Reference
from tmref.implementations.reference import implementation as reference
from tmref.laws.subject import row_of_module
from tmref.nn.covariant import CovariantTransform
from tmref.nn.layer_norm import _LayerNorm
from tmref.strategies import like

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

    def narrowed(self, row):
        """The row with the maps that the defect is to be seen on."""
        return dataclasses.replace(row, maps={**row.maps, **self.maps})

    def __str__(self):
        return f"{self.law}-{self.implementation.name}-{self.row}"


def identity(module, x):
    return x


def without_gradients(module, x):
    return each(changed, x)


def norms(module, x):
    """The squared norms of the components."""
    return each(lambda b: changed(b, values=b.values.square().sum(1), components=[]), x)


def block_of_the_first_key(module, x):
    """The first block alone, under keys of λ and σ alone."""
    names = ["o3_lambda", "o3_sigma"]
    rows = torch.stack([x.keys.column(name) for name in names], 1)[:1]
    return TensorMap(Labels(names, rows), list(map(changed, x))[:1])


def sums_over_atoms(module, x):
    """One sample for each system."""
    return each(summed, x)


def summed(block):
    """The block with the samples of every system added up."""
    of_system, where = torch.unique(block.samples.column("system"), return_inverse=True)
    values = block.values.new_zeros((len(of_system), *block.shape[1:]))
    values = values.index_add(0, where, block.values)
    made = changed(block, values=values, samples=Labels("system", of_system.reshape(-1, 1)))
    for parameter, gradient in block.gradients():
        made.add_gradient(parameter, summed_gradient(gradient, where))
    return made


def summed_gradient(gradient, where):
    """The gradient with rows of one system, and equal further dimensions, added up."""
    rows = gradient.samples.values.clone()
    rows[:, 0] = where[rows[:, 0].to(torch.int64)]
    different, to_row = (
        torch.unique(rows, dim=0, return_inverse=True) if len(rows) else (rows, rows[:, 0])
    )
    values = gradient.values.new_zeros((len(different), *gradient.shape[1:]))
    values = values.index_add(0, to_row.to(torch.int64), gradient.values)
    return changed(gradient, values=values, samples=Labels(gradient.samples.names, different))


def squared_distance(module, x, other):
    """How far two maps of the same samples are from each other."""
    pairs = [(block, other.block(key)) for key, block in x.items()]
    if any(a.samples != b.samples for a, b in pairs):
        raise ValueError("the maps have other samples")
    return sum((a.values - b.values).square().sum() for a, b in pairs)


#: What is right, of modules of one's own, with what no module of the catalog promises.
_RIGHT = {
    "keeping": identity,
    "leaving_out": without_gradients,
    "of_norms": norms,
    "of_one": block_of_the_first_key,
    "of_sums": sums_over_atoms,
    "of_two": squared_distance,
}


def _own_row(name, *traits, **options):
    def build(x):
        return Around(torch.nn.Identity(), _RIGHT[name])

    return row_of_module(build, name=name, traits=["deterministic", "pure", *traits], **options)


OWN_ROWS = (
    _own_row("keeping", "keeps_keys", "keeps_properties"),
    _own_row("leaving_out", "leaves_out_gradients"),
    _own_row("of_norms", "invariant", maps={"spherical": True}),
    _own_row("of_one", "equivariant", "leaves_out_gradients", maps={"spherical": True}),
    _own_row("of_sums", "keeps_keys", aggregates("atom")),
    _own_row("of_two", "matches_labels", given={"other": like}),
)
_ROWS = {row.name: row for row in OWN_ROWS}


def _makes(row, name, forward):
    """The reference, that makes a module of one's own of ``(module, x)``."""
    base = Reference()
    base.name = name
    with_it = dataclasses.replace(row, build=lambda x: Around(torch.nn.Identity(), forward))
    return with_it.subject(base)


def own(law, *names):
    """A defect of what ``(module, x)`` returns, for modules of one's own."""

    def register(forward):
        for name in names:
            row, right = _ROWS[name], _RIGHT[name]
            wrong = _makes(row, forward.__name__, forward)
            MUTANTS.append(Planted(law, name, wrong, right=_makes(row, right.__name__, right)))
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
    """``forward(module, x)`` instead of ``module(x)``, with what it is given besides."""

    def __init__(self, module, forward):
        super().__init__()
        self.module = module
        self._forward = forward

    def forward(self, x, **further):
        return self._forward(self.module, x, **further)


def built(law, *rows, **maps):
    """A defect of the module that ``(recipe, module)`` returns."""

    def register(build):
        mutant = Mutant(build.__name__, build)
        MUTANTS.extend(Planted(law, row, mutant, maps) for row in rows)
        return build

    return register


def called(law, *rows, **maps):
    """A defect of what ``(module, x)`` returns."""

    def register(forward):
        mutant = Mutant(forward.__name__, lambda recipe, module: Around(module, forward))
        MUTANTS.extend(Planted(law, row, mutant, maps) for row in rows)
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


def of_operations(law, name):
    """A defect of an operation: what the function makes of the right one and of the arguments."""

    def register(function):
        mutant = Reference()
        mutant.name = function.__name__
        right = getattr(tmref.operations, name)
        wrong = {name: functools.partial(function, right)}
        mutant.operations = types.SimpleNamespace(**{**vars(tmref.operations), **wrong})
        return data(law, "operations")(lambda: mutant) and function

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
        made.nn = types.SimpleNamespace(**{**vars(tmref.nn), "Module": kind})
        MUTANTS.extend(Planted(law, "any_module", made) for law in laws)
        return kind

    return register


def one_value(row, value):
    """One block of one value, and the module of one key and one feature."""
    keys = Labels.range("key", 1)
    block = TensorBlock(torch.tensor([[value]]), Labels.range("system", 1), [], Labels.range("n", 1))
    parameters = [[tuple(torch.ones(s) for s in layer.parameter_shapes(1, 1)) for layer in row.layers]]
    widths = [[1] * (len(row.layers) + 1)]
    recipe = catalog.recipe(row, keys, torch.float32, widths, parameters, styles=[ArgumentStyle()])
    return Example(recipe, TensorMap(keys, [block]), {})


class ReturnsNone(Reference):
    name = "returns None"

    def build(self, recipe):
        made = super().build(recipe)
        made.forward = lambda x: None
        return made
