"""What a law calls ``f``: one module under test, made of a recipe, beside its twin in plain torch."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ..catalog import Recipe
from ..compare import Refused
from ..implementations import Implementation
from ..labels import Labels, LabelsEntry
from ..tensor_map import TensorMap


class Raised(Exception):
    """The implementation raised where it must not; ``__cause__`` is what it raised."""


@dataclass(frozen=True)
class Step:
    """One thing that a law did with the module, for the script that shows a failure."""

    argument: TensorMap
    result: TensorMap | Refused
    after: TensorMap | None
    cotangents: TensorMap | None = None


class Twin:
    """The same modules in plain torch, one for each key, with the same parameters."""

    def __init__(self, recipe: Recipe) -> None:
        if recipe.twins is None:
            raise Untested("there is no twin in plain torch to compare with")
        self.in_keys = recipe.in_keys
        with quiet():
            torch.default_generator.manual_seed(recipe.seed)
            self.modules = torch.nn.ModuleList(twin() for twin in recipe.twins)

    def module(self, key: LabelsEntry) -> torch.nn.Module:
        """The module of a key."""
        position = self.in_keys.position(key)
        assert position is not None, f"no twin for {key}"
        return self.modules[position]

    def __call__(self, x: TensorMap) -> list[torch.Tensor]:
        """The values that plain torch gives for every block of ``x``."""
        return [self.module(key)(block.values) for key, block in x.items()]

    def parameters(self) -> dict[str, torch.Tensor]:
        """The parameters by their names."""
        return dict(self.modules.named_parameters())


class Untested(Exception):
    """The law can't be tried on this module; the message says why."""


class Subject:
    """One module of an implementation. ``f(x)`` is what it makes of the map ``x``, decoded.

    ``encoded`` is the implementation's own input of the last call. ``steps`` are what was done.
    """

    def __init__(self, implementation: Implementation, recipe: Recipe) -> None:
        self.implementation = implementation
        self.recipe = recipe
        self.steps: list[Step] = []
        self.encoded: Any = None
        self._twin: Twin | None = None
        self.module = self._built()

    def _built(self) -> torch.nn.Module:
        torch.default_generator.manual_seed(self.recipe.seed)
        try:
            with quiet():
                return self.implementation.build(self.recipe)
        except Exception as error:
            raise Raised("the module can't be made") from error

    @property
    def properties(self) -> tuple[Labels, ...]:
        """The properties that were asked for, for every key of ``recipe.in_keys``."""
        if self.recipe.properties is None:
            raise Untested("nobody says which properties the output must have")
        return self.recipe.properties

    @property
    def twin(self) -> Twin:
        """The plain torch module of every key."""
        if self._twin is None:
            self._twin = Twin(self.recipe)
        return self._twin

    def attempt(self, x: TensorMap) -> TensorMap | Refused:
        """``f(x)``, or the refusal where the implementation raises."""
        before = x.copy()
        # what a module does to its input must not reach the law's
        given = TensorMap(x.keys, [block._map_values(torch.clone) for block in x])
        self.encoded = self.implementation.encode(given)
        try:
            with quiet():
                result = self.implementation.decode(self.module(self.encoded))
        except Exception as error:
            self.steps.append(Step(before, Refused(error), None))
            return Refused(error)
        self.steps.append(Step(before, result, None))
        return result

    def __call__(self, x: TensorMap) -> TensorMap:
        """The output for ``x``. Raises Raised where the implementation raises."""
        result = self.attempt(x)
        if isinstance(result, Refused):
            raise Raised("the module can't be called") from result.error
        return result

    def input_afterwards(self) -> TensorMap:
        """The input of the last call, decoded again."""
        after = self.implementation.decode(self.encoded)
        last = self.steps[-1]
        self.steps[-1] = Step(last.argument, last.result, after)
        return after

    def parameters(self) -> dict[str, torch.Tensor]:
        """The parameters by the names of the twin's, or by their own where there is no twin."""
        if self.recipe.twins is None:
            return dict(self.module.named_parameters())
        names = self.twin.parameters()
        theirs = self.implementation.parameters(self.module)
        if len(names) != len(theirs):
            raise Raised(f"the module has {len(theirs)} parameters, its twins together {len(names)}")
        return dict(zip(names, theirs, strict=True))

    def derivatives(self, x: TensorMap, cotangents: TensorMap) -> dict[str, torch.Tensor]:
        """∂(sum of f(x) times ``cotangents``) by the input's values, ``x[i]``, and by the parameters."""
        y = self(x)
        last = self.steps[-1]
        self.steps[-1] = Step(last.argument, last.result, None, cotangents)
        return differentiate([b.values for b in y], x, self.parameters(), cotangents)

    def again(self, recipe: Recipe) -> Subject:
        """Another module of the same implementation."""
        return Subject(self.implementation, recipe)


def differentiate(
    outputs: list[torch.Tensor],
    x: TensorMap,
    parameters: Mapping[str, torch.Tensor],
    cotangents: TensorMap,
) -> dict[str, torch.Tensor]:
    """The derivatives of the sum of ``outputs`` times ``cotangents``, by name.

    Where there is no dependence, they are zeros.
    """
    by = {f"x[{i}]": block.values for i, block in enumerate(x)} | dict(parameters)
    pairs = [(y, c.values) for y, c in zip(outputs, cotangents, strict=True) if y.requires_grad]
    if not pairs or not by:
        return {name: torch.zeros_like(value) for name, value in by.items()}
    found = torch.autograd.grad(
        [y for y, _ in pairs], list(by.values()), [c for _, c in pairs], allow_unused=True
    )
    return {
        name: torch.zeros_like(value) if grad is None else grad
        for (name, value), grad in zip(by.items(), found, strict=True)
    }


class quiet(warnings.catch_warnings):
    """Without warnings: what is warned of is done, and no refusal, where filters make errors of them."""

    def __enter__(self) -> None:
        super().__enter__()
        warnings.simplefilter("ignore")
