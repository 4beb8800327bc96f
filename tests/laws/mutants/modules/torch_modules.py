"""ModuleMaps that call torch's modules in another way than once."""

import copy
import types

import torch

from mutants.planting import MUTANTS, Planted, changed
from tmref import TensorMap, nn
from tmref.implementations.reference import Reference

once_only = "one_forward_is_one_forward_of_every_module"
hooks = "hooks_of_modules_are_called"
parametrized = "parametrizations_of_modules_are_used"
lazy = "lazy_modules_are_made_by_the_first_forward"
copies = "from_module_makes_copies"


def module_map(*laws):
    """A defect of ModuleMap: a subclass."""

    def register(kind):
        own = Reference()
        own.name = kind.__name__
        own.nn = types.SimpleNamespace(**{**vars(nn), "ModuleMap": kind})
        MUTANTS.extend(Planted(law, "any_module_map", own) for law in laws)
        return kind

    return register


@module_map(once_only)
class CalledTwice(nn.ModuleMap):
    def forward(self, tensor):
        super().forward(tensor)
        return super().forward(tensor)


@module_map(once_only)
class ShapesTriedOut(nn.ModuleMap):
    """The module sees an empty batch first."""

    def forward(self, tensor):
        for module, block in zip(self.module_list, tensor, strict=True):
            if isinstance(module, torch.nn.BatchNorm1d) and module.training:
                module.num_batches_tracked += 1
            elif isinstance(module, torch.nn.Dropout):
                module(torch.ones_like(block.values[:1]))
        return super().forward(tensor)


@module_map(once_only)
class AlwaysInTraining(nn.ModuleMap):
    def train(self, mode=True):
        self.training = mode
        return self


@module_map(once_only)
class EvaluatedForTheForward(nn.ModuleMap):
    def forward(self, tensor):
        was = self.training
        y = super().train(False).forward(tensor)
        super().train(was)
        return y


@module_map(once_only)
class RandomStateRestored(nn.ModuleMap):
    def forward(self, tensor):
        with torch.random.fork_rng(devices=[]):
            return super().forward(tensor)


@module_map(once_only)
class BuffersCopied(nn.ModuleMap):
    """Statistics are updated in a copy."""

    def forward(self, tensor):
        kept = copy.deepcopy(self.state_dict())
        y = super().forward(tensor)
        self.load_state_dict(kept)
        return y


def with_forwards(self, tensor):
    """The map of what ``forward`` of the modules makes, without calling them."""
    for module in self.module_list:
        if "called" not in module.__dict__:
            module.called = True
            module.__class__ = type(
                type(module).__name__,
                (type(module),),
                {"__call__": lambda self, *args: self.forward(*args)},
            )
    return nn.ModuleMap.forward(self, tensor)


@module_map(hooks, lazy)
class CallsForward(nn.ModuleMap):
    """What metatensor does."""

    forward = with_forwards


@module_map("modules_may_stand_in_several_places")
class EachPartOnce(nn.ModuleMap):
    """What torch lists as children has a module once."""

    def forward(self, tensor):
        given = list(self.module_list)
        for i, module in enumerate(given):
            if isinstance(module, torch.nn.Sequential):
                self.module_list[i] = torch.nn.Sequential(*module.children())
        try:
            return super().forward(tensor)
        finally:
            for i, module in enumerate(given):
                self.module_list[i] = module


@module_map(hooks)
class FirstOneIsCalledTwice(nn.ModuleMap):
    def forward(self, tensor):
        self.module_list[0](tensor.block(0).values)
        return super().forward(tensor)


@module_map(hooks)
class ResultsOfHooksIgnored(nn.ModuleMap):
    def forward(self, tensor):
        y = super().forward(tensor)
        plain = [m.forward(b.values) for m, b in zip(self.module_list, tensor, strict=True)]
        return TensorMap(y.keys, [changed(b, values=v) for b, v in zip(y, plain, strict=True)])


@module_map(hooks)
class Detached(nn.ModuleMap):
    """No backward reaches the modules."""

    def forward(self, tensor):
        y = super().forward(tensor)
        direct = [
            torch.nn.functional.linear(b.values, m.weight, m.bias)
            for m, b in zip(self.module_list, tensor, strict=True)
        ]
        return TensorMap(
            y.keys,
            [
                changed(b, values=b.values.detach() + v - v.detach())
                for b, v in zip(y, direct, strict=True)
            ],
        )


@module_map(parametrized)
class WeightsOfTheFirstForward(nn.ModuleMap):
    def forward(self, tensor):
        if not hasattr(self, "first"):
            self.__dict__["first"] = copy.deepcopy(list(self.module_list))
        own = self.__dict__["first"]
        y = super().forward(tensor)
        values = [m(b.values) for m, b in zip(own, tensor, strict=True)]
        return TensorMap(y.keys, [changed(b, values=v) for b, v in zip(y, values, strict=True)])


@module_map(parametrized)
class WeightsReadBefore(nn.ModuleMap):
    """The weight is looked at once more: a step of the power iteration more."""

    def forward(self, tensor):
        for module in self.module_list:
            _ = module.weight
        return super().forward(tensor)


@module_map(lazy)
class LazyOnesOfTheWidestBlock(nn.ModuleMap):
    def forward(self, tensor):
        widest = max(tensor, key=lambda block: len(block.properties)).values
        for module in self.module_list:
            if isinstance(module, torch.nn.LazyLinear):
                module(widest)
        return super().forward(tensor)


@module_map(lazy)
class LazyOnesInFloat32(nn.ModuleMap):
    def forward(self, tensor):
        for module, block in zip(self.module_list, tensor, strict=True):
            if isinstance(module, torch.nn.LazyLinear):
                module.weight.data, module.bias.data = (
                    module.weight.data.float(),
                    module.bias.data.float(),
                )
                module(block.values.float())
                module.to(block.values.dtype)
        return super().forward(tensor)


@module_map(copies)
class SharedByAll(nn.ModuleMap):
    @classmethod
    def from_module(cls, in_keys, module, out_properties=None):
        return cls(in_keys, [module for _ in in_keys], out_properties)


@module_map(copies)
class OneCopyForAll(nn.ModuleMap):
    @classmethod
    def from_module(cls, in_keys, module, out_properties=None):
        module = copy.deepcopy(module)
        return cls(in_keys, [module for _ in in_keys], out_properties)


@module_map(copies)
class TheFirstIsTheOneGiven(nn.ModuleMap):
    @classmethod
    def from_module(cls, in_keys, module, out_properties=None):
        modules = [copy.deepcopy(module) if i else module for i, _ in enumerate(in_keys)]
        return cls(in_keys, modules, out_properties)


@module_map(copies)
class InitialisedAnew(nn.ModuleMap):
    @classmethod
    def from_module(cls, in_keys, module, out_properties=None):
        made = super().from_module(in_keys, module, out_properties)
        for part in made.module_list:
            part.reset_parameters()
        return made
