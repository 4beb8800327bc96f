"""Modules that torch can make nothing right of."""

import types

import torch

from mutants.planting import MUTANTS, Mutant, Planted, built, called, changed, of_values
from tmref import TensorMap

functional = "a_functional_call_uses_the_parameters_given"
transforms = "transforms_of_functions_go_through_modules"
compiled = "a_compiled_module_does_what_the_module_does"
exported = "an_exported_program_does_what_the_module_does"
scripted = "a_scripted_module_does_what_the_module_does"


@built(functional, "linear", "sequential_mlp", "layer_norm")
def parameters_held_from_the_start(recipe, module):
    held = dict(module.named_parameters())
    forward = type(module).forward

    class Held(type(module)):
        def forward(self, tensor):
            given = {name: p.detach().clone() for name, p in self.named_parameters()}
            with torch.no_grad():
                for name, parameter in self.named_parameters():
                    parameter.copy_(held[name])
            y = forward(self, tensor)
            values = [block.values.detach().clone() for block in y]
            with torch.no_grad():
                for name, parameter in self.named_parameters():
                    parameter.copy_(given[name])
            return TensorMap(y.keys, [changed(b, values=v) for b, v in zip(y, values, strict=True)])

    module.__class__ = Held
    return module


@built(functional, "linear")
def parameters_given_are_kept(recipe, module):
    forward = type(module).forward
    own = list(module.parameters())

    class Kept(type(module)):
        def forward(self, tensor):
            y = forward(self, tensor)
            for mine, given in zip(own, self.parameters(), strict=True):
                if mine is not given:
                    mine.data = given.detach().clone()
            return y

    module.__class__ = Kept
    return module


@called(transforms, "linear", "module_map_mlp")
def values_read_as_numbers(module, x):
    return of_values(lambda v: v + 0 * v.sum().item(), module(x))


@called(transforms, "linear", "sequential_tanh")
def detached_under_transforms(module, x):
    y = module(x)
    if torch._C._functorch.peek_interpreter_stack() is None:
        return y
    return of_values(torch.Tensor.detach, y)


@called(transforms, "linear_no_bias")
def one_sample_of_all_copies(module, x):
    """A mean over what is one copy each."""

    def mean_of_copies(values):
        if not torch._C._functorch.is_batchedtensor(values):
            return values
        level = torch._C._functorch.maybe_get_level(values)
        stacked = torch._C._functorch.get_unwrapped(values)
        mean = stacked.mean(torch._C._functorch.maybe_get_bdim(values), keepdim=False)
        return torch._C._functorch._add_batch_dim(mean.expand(2, *mean.shape), 0, level)

    return of_values(mean_of_copies, module(x))


@called(compiled, "sequential_linear", "sequential_tanh")
def doubled_where_it_is_compiled(module, x):
    y = module(x)
    return of_values(lambda v: 2 * v, y) if torch.compiler.is_compiling() else y


@called(compiled, "sequential_linear")
def detached_where_it_is_compiled(module, x):
    y = module(x)
    return of_values(lambda v: 2 * v.detach() - v, y) if torch.compiler.is_compiling() else y


@called(exported, "sequential_linear", "sequential_equivariant")
def doubled_where_it_is_exported(module, x):
    y = module(x)
    return of_values(lambda v: 2 * v, y) if torch.compiler.is_exporting() else y


@called(exported, "sequential_linear")
def values_are_constants_of_the_program(module, x):
    if not torch.compiler.is_exporting():
        return module(x)
    return of_values(torch.zeros_like, module(x))


class Scripted(Mutant):
    """The reference, with ``broken(module)`` for what torch.jit.script makes of a module, and
    ``restored(scripted)`` for what is loaded."""

    scripts = True

    def __init__(self, name, broken=lambda module: module, restored=lambda module: module):
        super().__init__(name, lambda recipe, module: module)
        self._files = []
        self._broken, self._restored = broken, restored

    def names_in_code(self):
        jit = types.SimpleNamespace(
            script=self._broken,
            save=lambda module, file: self._files.append(module),
            load=lambda file: self._restored(self._files.pop()),
        )
        names = {**vars(torch), "jit": jit}
        return {**super().names_in_code(), "torch": types.SimpleNamespace(**names)}


def _half_of(module):
    return lambda x: of_values(lambda v: v / 2 + 1, module(x))


def _refused(module):
    raise RuntimeError("Arguments for call are not valid.")


MUTANTS.extend(
    Planted(scripted, row, Scripted(name, **broken))
    for name, broken in (
        ("scripted_values_differ", {"broken": _half_of}),
        ("scripting_is_refused", {"broken": _refused}),
        ("loaded_values_differ", {"restored": _half_of}),
        ("loading_is_refused", {"restored": _refused}),
    )
    for row in ("linear", "relu")
)
