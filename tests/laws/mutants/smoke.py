"""Adapters that lose something on the way there or back."""

import torch

from mutants.planting import BROKEN_ADAPTERS, changed, each
from tmref import Labels, TensorMap
from tmref.implementations.reference import Reference


class _Adapter(Reference):
    def __init__(self):
        self.name = type(self).__name__


def adapter(of):
    """An adapter that loses something on the way."""
    BROKEN_ADAPTERS.append(of())
    return of


@adapter
class LosesGradients(_Adapter):
    def encode(self, tensor):
        return each(changed, tensor)


@adapter
class LosesTheSecondGradient(_Adapter):
    def decode(self, tensor):
        blocks = []
        for before in tensor:
            block = changed(before)
            for parameter, gradient in list(before.gradients())[:1]:
                block.add_gradient(parameter, changed(gradient))
            blocks.append(block)
        return TensorMap(tensor.keys, blocks)


def swapped(labels):
    return Labels(labels.names, labels.values.flip(1))


@adapter
class SwapsColumnsOfLabels(_Adapter):
    def encode(self, tensor):
        def of_block(before):
            block = changed(
                before, samples=swapped(before.samples), properties=swapped(before.properties)
            )
            for parameter, gradient in before.gradients():
                block.add_gradient(parameter, changed(gradient, properties=swapped(gradient.properties)))
            return block

        return each(of_block, tensor)


@adapter
class CastsToFloat32(_Adapter):
    def encode(self, tensor):
        def of_block(before):
            block = changed(before, values=before.values.float())
            for parameter, gradient in before.gradients():
                block.add_gradient(parameter, changed(gradient, values=gradient.values.float()))
            return block

        return each(of_block, tensor)


@adapter
class CastsToFloat32WithoutGradients(_Adapter):
    def encode(self, tensor):
        return each(lambda b: b if b.has_any_gradient() else changed(b, values=b.values.float()), tensor)


@adapter
class DoublesGradients(_Adapter):
    def encode(self, tensor):
        def of_block(before):
            block = changed(before)
            for parameter, gradient in before.gradients():
                block.add_gradient(parameter, changed(gradient, values=2 * gradient.values))
            return block

        return each(of_block, tensor)


@adapter
class ReversesKeys(_Adapter):
    def encode(self, tensor):
        keys = Labels(tensor.keys.names, tensor.keys.values.flip(0))
        return TensorMap(keys, list(tensor)[::-1])


@adapter
class KeepsKeysIn16Bits(_Adapter):
    def decode(self, tensor):
        rows = tensor.keys.values.to(torch.int16).to(torch.int32)
        if len(set(map(tuple, rows.tolist()))) < len(rows):
            return tensor
        return TensorMap(Labels(tensor.keys.names, rows), list(tensor))


@adapter
class CountsComponents(_Adapter):
    def encode(self, tensor):
        def count(labels):
            return Labels.range(labels.names[0], len(labels))

        def of_block(before):
            if before.has_any_gradient():
                return before
            return changed(before, components=[count(c) for c in before.components])

        return each(of_block, tensor)


@adapter
class RefusesMapsWithoutBlocks(_Adapter):
    def encode(self, tensor):
        tensor.block(0)
        return tensor


@adapter
class ZeroesTheInput(_Adapter):
    def encode(self, tensor):
        for block in tensor:
            block.values.zero_()
        return tensor
