"""Broken blocks."""

import torch

from mutants.planting import of_blocks
from tmref import TensorBlock

parts = "a_block_has_the_parts_that_it_is_made_of"


@of_blocks(parts)
class LengthOfProperties(TensorBlock):
    def __len__(self):
        return len(self.properties)


@of_blocks(parts)
class ShapeWithoutComponents(TensorBlock):
    @property
    def shape(self):
        return torch.Size([super().shape[0], super().shape[-1]])


gradients = "gradients_that_are_added_come_back"


@of_blocks(gradients)
class TheFirstGradientForAny(TensorBlock):
    def gradient(self, parameter):
        return self.gradients()[0][1]


@of_blocks(gradients)
class OnlyTheLastGradient(TensorBlock):
    def add_gradient(self, parameter, gradient):
        self._gradients = {}
        super().add_gradient(parameter, gradient)


there = "a_block_has_the_gradients_that_were_added"


@of_blocks(there)
class AnyGradientWillDo(TensorBlock):
    def has_gradient(self, parameter):
        return self.has_any_gradient()


@of_blocks(there)
class BeginningsOfNamesWillDo(TensorBlock):
    def has_gradient(self, parameter):
        return any(name.startswith(parameter) for name in self.gradients_list())


independent = "a_copy_of_a_block_is_independent_of_it"


@of_blocks(independent)
class CopiesAreShallow(TensorBlock):
    def copy(self, deep=False):
        return super().copy(False)


@of_blocks(independent)
class GradientsAreShared(TensorBlock):
    def copy(self, deep=True):
        made = super().copy(deep)
        for parameter, gradient in self.gradients():
            made._gradients[parameter]._values = gradient.values
        return made


@of_blocks(independent)
class ShallowCopiesAreDeep(TensorBlock):
    def copy(self, deep=True):
        return super().copy(True)


blocks_survive = "blocks_survive_being_copied_and_saved"


@of_blocks(blocks_survive)
class GradientsAreNotCopied(TensorBlock):
    def copy(self, deep=True):
        return TensorBlock(self.values, self.samples, self.components, self.properties)


@of_blocks(blocks_survive)
class PickledWithoutGradients(TensorBlock):
    def __reduce__(self):
        return TensorBlock, (self.values, self.samples, self.components, self.properties)


@of_blocks("a_block_of_another_dtype_has_its_values_converted")
class AlwaysFloat(TensorBlock):
    def to(self, *args, dtype=None, **options):
        return super().to(torch.float32)


@of_blocks("a_block_of_another_dtype_has_its_values_converted")
class RoundedWhenConverted(TensorBlock):
    def to(self, *args, dtype=None, **options):
        return super().to(torch.int32).to(dtype)
