"""A device that every machine has: torch takes its tensors for those of another device than the CPU.

``import fake_device`` makes ``torch.device("fake_device")``, for the whole process. Its tensors
compute on the CPU; as on any device, operations refuse tensors of both, but for numbers.
"""

import torch
from torch.utils import _pytree as pytree
from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend

NAME = "fake_device"


class Backend(_DummyBackendModule):
    """What torch.fake_device is."""

    get_rng_state = staticmethod(lambda device=None: torch.get_rng_state())
    set_rng_state = staticmethod(lambda state, device=None: torch.set_rng_state(state))
    get_amp_supported_dtype = staticmethod(lambda: [torch.bfloat16])


_setup_privateuseone_for_python_backend(NAME, backend_module=Backend())
DEVICE = torch.device(NAME, 0)
#: What takes tensors of both devices.
_COPIES = {torch.ops.aten.copy_.default, torch.ops.aten._to_copy.default}


class FakeTensor(torch.Tensor):
    """A tensor of the device; ``inside`` has the numbers."""

    @staticmethod
    def __new__(cls, inside, requires_grad=False):
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            inside.shape,
            strides=inside.stride(),
            storage_offset=inside.storage_offset(),
            dtype=inside.dtype,
            device=DEVICE,
            requires_grad=requires_grad,
        )
        made.inside = inside
        return made

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return compute(func, args, kwargs or {})

    def __repr__(self, **kwargs):
        return f"{NAME}({self.inside})"

    def tolist(self):
        return self.inside.tolist()

    def data_ptr(self):
        return self.inside.data_ptr()

    def untyped_storage(self):
        return self.inside.untyped_storage()

    @property
    def data(self):
        return self.detach()

    @data.setter
    def data(self, new):
        torch.Tensor.data.__set__(self, new)
        self.inside = new.inside

    def __reduce_ex__(self, protocol):
        return _restored, (self.inside, self.requires_grad, isinstance(self, torch.nn.Parameter))

    def __deepcopy__(self, memo):
        if id(self) not in memo:
            made, (inside, *rest) = self.__reduce_ex__(2)
            memo[id(self)] = made(inside.clone(), *rest)
        return memo[id(self)]


def _restored(inside, requires_grad, is_parameter):
    tensor = FakeTensor(inside, requires_grad=requires_grad)
    return torch.nn.Parameter(tensor, requires_grad) if is_parameter else tensor


def compute(func, args, kwargs):
    """What the operation gives on the CPU, as tensors of the device where it is there."""
    tensors = [t for t in pytree.tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)]
    if func not in _COPIES and any(not isinstance(t, FakeTensor) and t.dim() for t in tensors):
        raise RuntimeError(f"{func}: expected all tensors to be on the same device, {NAME}:0 and cpu")
    device = kwargs.get("device")
    is_here = device is not None and torch.device(device).type != NAME
    if device is not None and not is_here:
        kwargs = {**kwargs, "device": "cpu"}
    if func is torch.ops.aten._efficientzerotensor.default:
        func = torch.ops.aten.zeros.default  # what autograd takes for zeros has no numbers
    inside = pytree.tree_map_only(FakeTensor, lambda t: t.inside, (args, kwargs))
    result = func(*inside[0], **inside[1])
    if is_here:
        return result
    given = {id(t.inside): t for t in tensors if isinstance(t, FakeTensor)}
    # numbers that are negated, or conjugated, when they are read are so at once
    return pytree.tree_map_only(
        torch.Tensor,
        lambda t: given[id(t)] if id(t) in given else FakeTensor(t.resolve_neg().resolve_conj()),
        result,
    )


def _copy_from(source, target, non_blocking=False):
    target.inside.copy_(source.inside if isinstance(source, FakeTensor) else source)
    return target


torch.serialization.add_safe_globals([_restored])
_EVERY, _ATEN = torch.library.Library("_", "IMPL"), torch.library.Library("aten", "IMPL")
_EVERY.fallback(lambda func, *args, **kwargs: compute(func, args, kwargs), "PrivateUse1")
_EVERY.fallback(torch.library.fallthrough_kernel, "AutocastPrivateUse1")
_ATEN.impl("_copy_from", _copy_from, "PrivateUse1")
