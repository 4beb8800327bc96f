"""TensorBlock: values with labels on every axis, and their explicit gradients."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence

import torch

from .labels import Labels, labels_source
from .printing import LONGEST, counted, tensor_source, type_of

_new = object.__new__
#: The gradients of a block that has none: these dictionaries are replaced, never changed.
_NONE: dict[str, TensorBlock] = {}


class TensorBlock:
    """An array of shape ``(samples, *components, properties)`` with labels for every axis.

    ``samples`` and ``properties`` label the first and the last axis, ``components`` (each of one
    dimension, at least one entry, all of different names) the ones between. Values and labels are
    on one device; the values are not copied.

    Raises TypeError for something other than a tensor and labels, and ValueError where an axis
    doesn't fit its labels, naming both.

    Source: the interface of ``metatensor.torch.TensorBlock``.
    """

    __slots__ = (
        "_components",
        "_gradients",
        "_owned",
        "_parameter",
        "_properties",
        "_samples",
        "_values",
    )

    def __init__(
        self,
        values: torch.Tensor,
        samples: Labels,
        components: Sequence[Labels],
        properties: Labels,
    ) -> None:
        if not isinstance(values, torch.Tensor):
            raise TypeError(f"values must be a torch.Tensor, got {type(values).__name__}")
        if not isinstance(components, (list, tuple)):
            raise TypeError(f"components must be a list of Labels, got {type_of(components)}")
        axes = [("samples", samples), *((f"components[{i}]", c) for i, c in enumerate(components))]
        axes.append(("properties", properties))
        for name, labels in axes:
            if not isinstance(labels, Labels):
                raise TypeError(f"{name} must be Labels, got {type_of(labels)}")
            if labels.device != values.device:
                raise ValueError(
                    f"values are on {values.device} but {name} on {labels.device}; "
                    f'move them with .to("{values.device}")'
                )
        expected = tuple(len(labels) for _, labels in axes)
        if tuple(values.shape) != expected:
            raise ValueError(
                f"values have the shape {tuple(values.shape)}, but samples, components and properties "
                f"have {expected} entries"
            )
        for name, labels in axes[1:-1]:
            if len(labels.names) != 1 or len(labels) == 0:
                raise ValueError(
                    f"{name} must have one dimension and at least one entry, "
                    f"got the dimensions {labels.names} and {counted(len(labels), 'entry')}"
                )
        names = [labels.names[0] for _, labels in axes[1:-1]]
        if len(set(names)) != len(names):
            raise ValueError(f"components must have different names, got {names}")
        self._values = values
        self._samples = samples
        self._components = tuple(components)
        self._properties = properties
        self._gradients = _NONE
        #: what it is a gradient with respect to
        self._parameter: str | None = None
        #: whether it is part of a map or a gradient, so that its structure is fixed
        self._owned = False

    @staticmethod
    def _unchecked(
        values: torch.Tensor,
        samples: Labels,
        components: tuple[Labels, ...],
        properties: Labels,
        owned: bool = False,
    ) -> TensorBlock:
        """A block of labels that are known to fit; ``owned`` where it is made for a map."""
        block = _new(TensorBlock)
        block._values = values
        block._samples = samples
        block._components = components
        block._properties = properties
        block._gradients = _NONE
        block._parameter = None
        block._owned = owned
        return block

    @property
    def values(self) -> torch.Tensor:
        """The array, of shape ``(samples, *components, properties)``."""
        return self._values

    @property
    def samples(self) -> Labels:
        """Labels of the first axis: what is described."""
        return self._samples

    @property
    def components(self) -> list[Labels]:
        """Labels of the axes between: the components of vectors and tensors."""
        return list(self._components)

    @property
    def properties(self) -> Labels:
        """Labels of the last axis: how it is described."""
        return self._properties

    @property
    def shape(self) -> torch.Size:
        """The shape of ``values``."""
        return self._values.shape

    @property
    def device(self) -> torch.device:
        """The device of values and labels."""
        return self._values.device

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of ``values``."""
        return self._values.dtype

    def __len__(self) -> int:
        return len(self._values)

    def add_gradient(self, parameter: str, gradient: TensorBlock) -> None:
        """Attach the gradient of the values by ``parameter``: the first dimension of its samples is
        ``sample``, the row of the values that is differentiated.

        ``gradient`` has the block's properties, dtype and device, and components that end with the
        block's own, so its values have the shape ``(gradient samples, *extra, *components,
        properties)``.

        Raises ValueError where it doesn't fit, where the parameter has a gradient already, or where
        the block is part of a map.
        """
        if not isinstance(parameter, str):
            raise TypeError(
                f"parameter must be a string, got {parameter!r} of type {type(parameter).__name__}"
            )
        if not isinstance(gradient, TensorBlock):
            raise TypeError(f"gradient must be a TensorBlock, got {type_of(gradient)}")
        if self._owned:
            raise ValueError(
                "this block is part of a TensorMap or a gradient, whose structure is fixed; "
                "add the gradient before, or to a block.copy()"
            )
        if parameter in self._gradients:
            raise ValueError(f"the block has a gradient with respect to {parameter!r} already")
        if gradient.samples.names[0] != "sample":
            raise ValueError(
                "the first dimension of a gradient's samples must be 'sample', "
                f"got {gradient.samples.names}"
            )
        rows = gradient.samples._tensor()[:, 0]
        if len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < len(self):
            raise ValueError(
                f"'sample' of the gradient must be rows of the values' {counted(len(self), 'sample')}, "
                f"got {int(rows.min())} to {int(rows.max())}"
            )
        extra = len(gradient._components) - len(self._components)
        if extra < 0 or gradient._components[extra:] != self._components:
            raise ValueError(
                "the components of a gradient must end with the components of the values, "
                f"got {[c.names for c in gradient._components]} for "
                f"{[c.names for c in self._components]}"
            )
        if gradient.properties != self.properties:
            raise ValueError("the properties of a gradient must be those of the values")
        if (gradient.dtype, gradient.device) != (self.dtype, self.device):
            raise ValueError(
                f"the gradient is {gradient.dtype} on {gradient.device}, "
                f"the values are {self.dtype} on {self.device}"
            )
        self._gradients = {**self._gradients, parameter: gradient._adopted(parameter)}

    def _adopted(self, parameter: str | None = None) -> TensorBlock:
        """The same data as part of a map, or as the gradient with respect to ``parameter``."""
        block = self.copy(deep=False)
        block._owned, block._parameter = True, parameter
        return block

    def has_gradient(self, parameter: str) -> bool:
        """Whether the block has a gradient with respect to ``parameter``."""
        return parameter in self._gradients

    def has_any_gradient(self) -> bool:
        """Whether the block has gradients."""
        return bool(self._gradients)

    def gradients_list(self) -> list[str]:
        """The parameters that the block has gradients for."""
        return list(self._gradients)

    def gradients(self) -> list[tuple[str, TensorBlock]]:
        """The parameters with their gradients."""
        return list(self._gradients.items())

    def gradient(self, parameter: str) -> TensorBlock:
        """The gradient with respect to ``parameter``. Raises ValueError where there is none."""
        try:
            return self._gradients[parameter]
        except KeyError:
            raise ValueError(
                f"no gradient with respect to {parameter!r}, the block has {self.gradients_list()}"
            ) from None

    def copy(self, deep: bool = True) -> TensorBlock:
        """The block with its gradients, values copied or, where not ``deep``, shared.

        As in metatensor, copied values are detached from autograd's graph.
        """
        return self._map_values(lambda values: values.detach().clone() if deep else values)

    def to(
        self,
        *args: str | torch.device | torch.dtype,
        dtype: torch.dtype | None = None,
        device: str | torch.device | None = None,
        non_blocking: bool = False,
    ) -> TensorBlock:
        """The block with values of this dtype on this device, gradients and labels with them.

        The arguments are those of ``torch.Tensor.to``: a dtype, a device, both in either order, or by
        name. What is there already is shared. Raises TypeError for anything else.
        """
        dtype, device = _dtype_and_device(args, dtype, device)
        moved = self._map_values(lambda v: v.to(device=device, dtype=dtype, non_blocking=non_blocking))
        return moved if device is None else moved._with_labels_on(moved.device)

    def pin_memory(self) -> TensorBlock:
        """The block with values, and those of gradients, in pinned memory, as torch's loaders ask."""
        return self._map_values(torch.Tensor.pin_memory)

    def _map_values(self, function: Callable[[torch.Tensor], torch.Tensor]) -> TensorBlock:
        """The block, part of nothing, with ``function`` of its values and of its gradients' values."""
        block = TensorBlock._unchecked(
            function(self._values), self._samples, self._components, self._properties
        )
        block._gradients = {p: g._map_values(function) for p, g in self._gradients.items()}
        for parameter, gradient in block._gradients.items():
            gradient._owned, gradient._parameter = True, parameter
        return block

    def _with_labels_on(self, device: torch.device) -> TensorBlock:
        """Itself, after its labels and those of its gradients have been moved to ``device``."""
        self._samples = self._samples.to(device)
        self._components = tuple(component.to(device) for component in self._components)
        self._properties = self._properties.to(device)
        for gradient in self._gradients.values():
            gradient._with_labels_on(device)
        return self

    def print(self) -> str:
        """The block in words; the same as its str."""
        what = (
            "TensorBlock"
            if self._parameter is None
            else f"TensorBlock gradient for '{self._parameter}',"
        )
        lines = [f"{what} with shape {_in_parentheses(self.shape)}"]
        lines.append(f"    samples: {_in_brackets(self._samples.names)}")
        if self._components:
            lines.append(f"    components: {_in_brackets(c.names[0] for c in self._components)}")
        lines.append(f"    properties: {_in_brackets(self._properties.names)}")
        if self._gradients:
            lines += ["", "    gradients:"]
        for parameter, gradient in self._gradients.items():
            lines.append(
                f"        {parameter} => TensorBlock with shape {_in_parentheses(gradient.shape)}"
            )
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.print()

    def __repr__(self) -> str:
        return block_source(self, longest=LONGEST)


def _in_parentheses(items: Iterable[object]) -> str:
    return f"({', '.join(map(str, items))})"


def _in_brackets(items: Iterable[object]) -> str:
    return f"[{', '.join(map(str, items))}]"


def _dtype_and_device(
    args: Sequence[object], dtype: torch.dtype | None, device: str | torch.device | None
) -> tuple[torch.dtype | None, str | torch.device | None]:
    """The arguments of ``to``, by position or by name."""
    for arg in args:
        if isinstance(arg, torch.dtype) and dtype is None:
            dtype = arg
        elif isinstance(arg, (str, torch.device)) and device is None:
            device = arg
        else:
            raise TypeError(
                f"to takes one dtype and one device, by position or by name, got {arg!r} "
                f"of type {type(arg).__name__}"
                + (" beside others" if isinstance(arg, (str, torch.device, torch.dtype)) else "")
            )
    return dtype, device


def block_source(
    block: TensorBlock,
    array: str = "torch.tensor",
    longest: int | None = None,
    *,
    gradients: bool = True,
) -> str:
    """The code of a block, with its gradients or without them."""
    components = ", ".join(labels_source(labels, array, longest) for labels in block.components)
    code = (
        f"TensorBlock({tensor_source(block.values, longest)}, "
        f"{labels_source(block.samples, array, longest)}, "
        f"[{components}], {labels_source(block.properties, array, longest)})"
    )
    if not gradients or not block.has_any_gradient():
        return code
    of = (f"{json.dumps(p)}: {block_source(g, array, longest)}" for p, g in block.gradients())
    return f"with_gradients({code}, {{{', '.join(of)}}})"
