"""Laws of torch: every block gets what the plain torch module gives."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import torch
from hypothesis import strategies as st

from ..block import TensorBlock
from ..catalog import Call, invariances
from ..compare import Refused
from ..strategies import layouts, like, tensor_maps
from ..strategies.values import laid_out
from ..tensor_map import TensorMap
from .law import data_law, law
from .maps import map_values, require_grad, with_values
from .subject import (
    Data,
    NotOffered,
    Subject,
    Untested,
    called_from_cpu,
    differentiate,
    quiet,
    random_numbers_kept,
)


@law()
def values_are_those_of_plain_torch(f: Subject, x: Any, draw: Any) -> Any:
    """The values of a block are what the torch module of its key makes of them. [doc] the module at
    position i is applied to the block of the i-th key; blocks are matched by their keys, and
    Sequential applies its layers in order."""
    y = f(x)
    return y, with_values(y, f.twin(x))


@law(maps={"allow_nan": True, "allow_infinity": True}, examples=50)
def nan_and_infinities_are_those_of_plain_torch(f: Subject, x: Any, draw: Any) -> Any:
    """NaN and infinities in the input come out where plain torch has them, and touch nothing else.
    [torch] operations follow IEEE 754: NaN stays NaN, and is never replaced."""
    y = f(x)
    return y, with_values(y, f.twin(x))


@law(maps={"dtypes": st.sampled_from((torch.float16, torch.bfloat16))}, examples=25)
def values_of_half_precision_are_those_of_plain_torch(f: Subject, x: Any, draw: Any) -> Any:
    """float16 and bfloat16 are dtypes as any other: the output has the input's, and the values of plain
    torch. [torch] the modules work on all floating dtypes. Values and parameters are 0, 1 and -1, so
    that sums are exact."""
    x = map_values(torch.sign, x)
    _make_parameters_signs(f)
    y = f(x)
    return y, with_values(y, f.twin(x))


@law("pure", examples=30)
def values_are_the_same_however_they_lie_in_memory(f: Subject, x: Any, draw: Any) -> Any:
    """Transposed, strided, expanded and lazily negated values give what plain torch makes of the same
    numbers. [torch] modules take tensors of any strides."""
    lying = [draw(layouts(), label=f"layout_{i}") for i in range(len(x))]
    code = ", ".join(_LAID_OUT[layout].format(i) for i, layout in enumerate(lying))
    f.run("blocks = [x.block(i) for i in range(len(x.keys))]", x=x)
    f.run("values = [block.values for block in blocks]")
    f.run(f"values = [{code}]")
    y = f.run(
        "x = TensorMap(x.keys, [TensorBlock(v, b.samples, b.components, b.properties) "
        "for v, b in zip(values, blocks)])\n"
        "y = module(x)"
    )
    values = [laid_out(block.values, layout) for block, layout in zip(x, lying, strict=True)]
    return y, with_values(y, f.twin(with_values(x, values)))


#: The code that lays out values as :func:`tmref.strategies.layouts` says.
_LAID_OUT = {
    "contiguous": "values[{0}]",
    "conjugate": "values[{0}]",
    "transposed": "values[{0}].transpose(0, -1).contiguous().transpose(0, -1)",
    "strided": "torch.stack([values[{0}], values[{0}] + torch.nan], -1)[..., 0]",
    "expanded": "values[{0}][:1].expand(values[{0}].shape) if values[{0}].numel() else values[{0}]",
    "offset": "torch.cat([values[{0}][:1], values[{0}]])[len(values[{0}][:1]) :]",
    "negative": "torch._neg_view(-values[{0}])",
}


@law("pointwise", maps={"wide": True}, examples=50)
def the_largest_and_smallest_numbers_are_as_exact_as_those_of_plain_torch(
    f: Subject, x: Any, draw: Any
) -> Any:
    """For numbers of all magnitudes, the output relative to torch's is 1, up to rounding. [torch] as
    the activations themselves: none overflows, or loses its digits, where its result has them."""
    # under another name, so that the tolerance is relative: these numbers are of all sizes
    y = f.run("y = module(wide)", wide=x)
    ratios, ones = [], []
    for value, expected in zip((block.values for block in y), f.twin(x), strict=True):
        tiny = torch.finfo(value.dtype).smallest_normal / torch.finfo(value.dtype).eps
        is_lost = (value.abs() <= tiny) & (expected.abs() <= tiny) & expected.isfinite()
        ratios.append(torch.where(is_lost | (value == expected), 1, value / expected))
        ones.append(torch.ones_like(expected))
    return ratios, ones


@law("normalised", maps={"min_samples": 1, "min_properties": 1}, examples=50)
def layer_norms_are_as_exact_for_large_means(f: Subject, x: Any, draw: Any) -> Any:
    """A sample far away from 0 is normalised as one around 0 is. [torch] the variance is that of the
    differences from the mean; a mean of squares less a squared mean has lost all digits."""
    far = draw(st.sampled_from((512.0, -2048.0)), label="far")
    return _normalised(f, map_values(lambda v: far + _ramp(v), x))


@law(
    "normalised",
    maps={"dtypes": st.just(torch.float16), "min_samples": 1, "min_properties": 1},
    examples=25,
)
def layer_norms_of_float16_do_not_overflow(f: Subject, x: Any, draw: Any) -> Any:
    """Values of float16 whose variance is too large for it are normalised all the same. [torch] its
    layer norm computes mean and variance of half precision in float32."""
    return _normalised(f, map_values(lambda v: 512 * _ramp(v), x))


def _ramp(values: torch.Tensor) -> torch.Tensor:
    """0, 1, 2, ... for every sample."""
    return torch.arange(values[0].numel(), dtype=values.dtype).reshape(values[0].shape).expand_as(values)


def _normalised(f: Subject, x: TensorMap) -> Any:
    """What it makes of ``x``, and what plain torch does in float64."""
    # under another name: the tolerance is that of the results, which are small
    y = f.run("y = module(away)", away=x)
    f.written  # noqa: B018 - of other modules nobody knows whether they normalise
    exact = copy.deepcopy(f.twin)
    exact.modules.double()
    expected = []
    for key, block in x.items():
        if isinstance(f.twin.module(key), torch.nn.Identity):
            expected.append(block.values)
        else:
            expected.append(exact.module(key)(block.values.double()).to(x.dtype))
    return y, with_values(y, expected)


@law()
def derivatives_are_those_of_plain_torch(f: Subject, x: Any, draw: Any) -> Any:
    """Autograd's derivatives by the input's values and by the parameters are those of the torch
    modules, for any cotangents. [torch] a module on maps is built of differentiable operations."""
    x = require_grad(x)
    twins = f.twin(x)
    cotangents = draw(like(with_values(f(x), twins)), label="cotangents")
    expected = differentiate(twins, x, f.twin.parameters(), cotangents)
    return f.derivatives(x, cotangents), expected


@law("pure", examples=40)
def second_derivatives_are_those_of_plain_torch(f: Subject, x: Any, draw: Any) -> Any:
    """The derivatives of derivatives by the input, by the input and by the parameters, are those of the
    torch modules. [torch] what is differentiable is so twice, as for training on forces."""
    if f.recipe.row.keeps_sizes:  # at zero vectors, x f(|x|) has no second derivative
        x = map_values(lambda v: torch.where(v == 0, 1, v), x)
    f.run("inputs = [x.block(i).values.requires_grad_() for i in range(len(x.keys))]", x=x)
    y = f.run("y = module(x)")
    cotangents = [b.values for b in draw(like(y), label="cotangents")]
    directions = [b.values for b in draw(like(x), label="directions")]
    f.run("outputs = [y.block(i).values for i in range(len(x.keys))]")
    f.run(_FIRST, cotangents=cotangents)
    f.run(_TOTAL, directions=directions)
    twins = require_grad(x)
    names: dict[str, Any] = {
        "torch": torch,
        "inputs": [block.values for block in twins],
        "outputs": f.twin(twins),
        "cotangents": cotangents,
        "directions": directions,
    }
    exec(f"{_FIRST}\n{_TOTAL}", names)
    expected = _derivatives(names["total"], names["inputs"], f.twin.parameters())
    return _derivatives(f["total"], f["inputs"], f.parameters()), expected


_FIRST = "first = torch.autograd.grad(outputs, inputs, cotangents, create_graph=True)"
#: The 0 makes it depend on the inputs where the first derivatives don't.
_TOTAL = "total = sum((g * d).sum() + 0 * v.sum() for g, d, v in zip(first, directions, inputs))"


def _derivatives(total: torch.Tensor, inputs: Sequence[torch.Tensor], parameters: Any) -> Any:
    by = {f"x[{i}]": value for i, value in enumerate(inputs)} | dict(parameters)
    return dict(
        zip(by, torch.autograd.grad(total, list(by.values()), materialize_grads=True), strict=True)
    )


@law("pure", maps={"min_blocks": 2}, examples=30)
def outputs_require_gradients_where_those_of_plain_torch_do(f: Subject, x: Any, draw: Any) -> Any:
    """The values of a block require gradients where its input or a parameter of its module does, and
    never without grad mode. [torch] requires_grad, torch.no_grad and torch.inference_mode."""
    mode = draw(st.sampled_from(("enable_grad",) * 2 + ("no_grad", "inference_mode")), label="mode")
    is_frozen = draw(st.booleans(), label="is_frozen")
    given = draw(st.lists(st.integers(0, len(x) - 1), unique=True), label="given")
    f.run(f"module.requires_grad_({not is_frozen})")
    f.run("for i in given:\n    x.block(i).values.requires_grad_()", x=x, given=given)
    f.run(f"with torch.{mode}():\n    y = module(x)")
    flags = f.run("[y.block(i).values.requires_grad for i in range(len(x.keys))]")
    f.twin.modules.requires_grad_(not is_frozen)
    values = [block.values.detach().clone().requires_grad_(i in given) for i, block in enumerate(x)]
    with getattr(torch, mode)():
        return flags, [value.requires_grad for value in f.twin(with_values(x, values))]


@law("deterministic", maps={"max_gradients": 1}, examples=40)
def what_is_not_recorded_is_the_same(f: Subject, x: Any, draw: Any) -> Any:
    """Without grad mode and in inference mode a map gives what it gives with it, explicit gradients
    included; where these are refused, nothing is said. [torch] no_grad "disables gradient calculation",
    inference_mode is "analogous to no_grad": values are the same."""
    y = f.attempt(x)
    if isinstance(y, Refused):
        return None
    mode = draw(st.sampled_from(("inference_mode", "no_grad")), label="mode")
    f.run(f"with torch.{mode}():\n    y = module(x)", x=x)
    return f.run("y"), y


@law(maps={"dtypes": st.just(torch.float32)}, examples=25)
def autocast_casts_as_it_does_in_plain_torch(f: Subject, x: Any, draw: Any) -> Any:
    """Under torch.autocast, blocks get what the torch module of their key makes of them there, dtypes
    included. [torch] autocast chooses the dtype by operation. Where it chooses several, which no map
    can have, it is refused, or one of them is that of all blocks. Values and parameters are 0, 1 and
    -1, so that sums are exact."""
    x = map_values(torch.sign, x)
    _make_parameters_signs(f)
    on = f.device.type
    if not torch.amp.is_autocast_available(on):
        raise NotOffered(f"torch does not offer it: autocast on {on}")
    with torch.autocast(on, dtype=torch.bfloat16):
        twins = f.twin(x)
    kinds = {value.dtype for value in twins}
    code = f'with torch.autocast("{on}", dtype=torch.bfloat16):\n    y = module(x)'
    if len(kinds) == 1:
        f.run(code, x=x)
    elif isinstance(f.attempt_to_run(code, x=x), Refused):
        return None
    y = f.run("y")
    if f.recipe.row.keeps_sizes and y.dtype in (torch.bfloat16, torch.float32):
        twins = [value.to(y.dtype) for value in twins]  # the dtype of either factor will do
    return y, with_values(y, twins)


def _make_parameters_signs(f: Subject) -> None:
    """Give all parameters, and the twin's, the values 0, 1 and -1."""
    f.run("with torch.no_grad():\n    for parameter in module.parameters():\n        parameter.sign_()")
    with torch.no_grad():
        for parameter in f.twin.parameters().values():
            parameter.sign_()


@law(maps={"dtypes": st.just(torch.float64)}, examples=30)
def steps_of_an_optimizer_are_those_on_plain_torch(f: Subject, x: Any, draw: Any) -> Any:
    """After steps of SGD, the parameters and the output are those of the torch modules after the same
    steps. [torch] optimizers change the parameters of a module, and the next forward uses them."""
    if not f.twin.parameters():
        return None
    steps = draw(st.integers(1, 2), label="steps")
    f.run("y = module(x)", x=x)
    f.run("optimizer = torch.optim.SGD(module.parameters(), lr=0.125)")
    f.run(
        "for _ in range(steps):\n"
        "    optimizer.zero_grad()\n"
        "    y = module(x)\n"
        "    sum(y.block(i).values.sum() for i in range(len(x.keys))).backward()\n"
        "    optimizer.step()",
        steps=steps,
    )
    y = f.run("y = module(x)")
    optimizer = torch.optim.SGD(f.twin.modules.parameters(), lr=0.125)
    values = [block.values.detach().clone() for block in x]
    for _ in range(steps):
        optimizer.zero_grad()
        sum(value.sum() for value in f.twin(with_values(x, values))).backward()  # type: ignore[union-attr]
        optimizer.step()
    return [f.parameters(), y], [f.twin.parameters(), with_values(y, f.twin(x))]


@law("deterministic", copied=True, examples=10)
def training_and_evaluation_are_the_same_without_state(f: Subject, x: Any, draw: Any) -> Any:
    """eval() and train() change the flag of every part, and no value. [torch] they have an effect on
    certain modules only, as Dropout and BatchNorm."""
    y = f(x)
    evaluated = f.run("y = module.eval()(x)")
    flags = f.run("[part.training for part in module.modules()]")
    trained = f.run("y = module.train()(x)")
    flags += f.run("[part.training for part in module.modules()]")
    expected = [False] * (len(flags) // 2) + [True] * (len(flags) // 2)
    return [evaluated, trained, flags], [y, y, expected]


@law("seeded")
def one_seed_gives_the_initial_parameters_of_torch(f: Subject, x: Any, draw: Any) -> Any:
    """After the same seed, the initial parameters are those that torch.nn.Linear draws for one key
    after the other, and the ones and zeros of torch.nn.LayerNorm. [torch] modules are initialised when
    they are made, from the global random state."""
    seed = draw(st.integers(0, 2**31), label="seed")
    recipe = f.recipe.with_initial_parameters(seed)
    again = f.again(recipe)
    return again.parameters(), again.twin.parameters()


# --- arguments of constructors


@law("sized", examples=40)
def parameters_have_the_dtype_and_the_device_asked_for(f: Subject, x: Any, draw: Any) -> Any:
    """dtype and device are those of all parameters; without them, torch's defaults are. [torch]
    device and dtype of torch.nn.Linear and torch.nn.LayerNorm."""
    options: dict[str, Any] = {}
    dtype = draw(st.sampled_from((None, *_FLOATING)), label="dtype")
    device = draw(st.sampled_from((None, "cpu", "meta")), label="device")
    if dtype is not None:
        options["dtype"] = dtype
    if device is not None:
        options["device"] = device
    twins = [_with_options(twin, {"dtype": None, **options}) for twin in _twins_of(f)]
    call = _with_options(_initial(f.written.call), options, without="dtype")
    found = f.run("[[str(p.dtype), str(p.device), list(p.shape)] for p in made.parameters()]", made=call)
    parameters = [p for twin in twins for p in _torch_made(f, twin).parameters()]
    return found, [[str(p.dtype), str(p.device), list(p.shape)] for p in parameters]


_FLOATING = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


@law("sized", maps={"min_blocks": 2, "min_properties": 1})
def options_of_layers_are_those_of_torch(f: Subject, x: Any, draw: Any) -> Any:
    """bias, eps and elementwise_affine mean what they mean for torch.nn.Linear and torch.nn.LayerNorm;
    mean says whether the mean is subtracted. A list with one for every key, or for every invariant
    one, is refused or goes key by key. [doc] "Refer to the torch.nn.LayerNorm documentation for a more
    detailed description of the other parameters"; equivariant layers have a bias for invariant keys."""
    recipe = f.written
    twins = _twins_of(f)
    selection = recipe.call.kwargs.get("invariant_keys")
    invariant = invariances(recipe.row, recipe.in_keys, selection)
    kinds = _OPTIONS_OF_NORMS if "LayerNorm" in recipe.row.module else {"bias": (True, False)}
    options: dict[str, Any] = {}
    of_keys: list[dict[str, Any]] = [{} for _ in twins]
    is_listed = draw(st.booleans(), label="is_listed")
    for name, choices in kinds.items():
        one_for = sum(invariant) if is_listed else 1
        drawn = [draw(st.sampled_from(choices), label=f"{name}_{i}") for i in range(one_for)]
        options[name] = drawn if is_listed else drawn[0]
        values = iter(drawn)
        for is_invariant, of_key in zip(invariant, of_keys, strict=True):
            if is_invariant:
                of_key[name] = next(values) if is_listed else drawn[0]
    call = _with_options(_initial(recipe.call), options)
    if isinstance(f.attempt_to_run("parameters = list(made.parameters())", made=call), Refused):
        if not is_listed:
            f.run("list(made.parameters())", made=call)
        return None
    f.run(_SET)
    y = f.run("y = made(x)", x=x)
    names: dict[str, Any] = {"torch": torch}
    made = [_torch_made(f, _with_options(t, of)) for t, of in zip(twins, of_keys, strict=True)]
    names["parameters"] = [p for twin in made for p in twin.parameters()]
    exec(_SET, names)
    of_row = dict(zip(recipe.in_keys, made, strict=True))
    expected = [of_row[key](block.values) for key, block in x.items()]
    shapes = f.run("[list(p.shape) for p in parameters]")
    return [shapes, y], [[list(p.shape) for p in names["parameters"]], with_values(y, expected)]


#: Smaller eps are those of rows: the tolerance is made for them.
_OPTIONS_OF_NORMS: dict[str, tuple[Any, ...]] = {
    "eps": (0.5, 2.0),
    "elementwise_affine": (True, True, False),
    "bias": (True, False),
    "mean": (True, False),
}
#: Parameters of multiples of 1/8 that are all different.
_SET = (
    "with torch.no_grad():\n"
    "    for i, p in enumerate(parameters):\n"
    "        p.copy_(torch.arange(p.numel()).reshape(p.shape) / 8 + i)"
)


@law("may_overwrite", copied=True, examples=40)
def in_place_overwrites_the_input_as_torch_does(f: Subject, x: Any, draw: Any) -> Any:
    """With in_place=True the values of the input are those of the output afterwards; with False, and
    without it, they stay. [torch] inplace of torch.nn.ReLU and torch.nn.SiLU, by default False."""
    found, expected = [], []
    for in_place in (None, False, True):
        options = {} if in_place is None else {"in_place": in_place}
        y = f.run("y = made(x)", made=_with_options(f.written.call, options), x=x)
        found.append(f.run("x"))
        values = [(b if in_place else a).values for a, b in zip(x, y, strict=True)]
        expected.append(with_values(x, values))
    return found, expected


def _twins_of(f: Subject) -> list[Call]:
    """The calls of the torch modules, in the order of in_keys."""
    twins = f.recipe.twins
    if twins is None or not all(isinstance(twin, Call) for twin in twins):
        raise Untested("there are no options known")
    return [_initial(twin) for twin in twins]


def _initial(call: Call) -> Call:
    return call.with_initial_parameters()


def _with_options(call: Call, options: dict[str, Any], without: str = "") -> Call:
    """The call with other options, where it is of something that has any."""
    if call.name == "torch.nn.Identity":
        return call
    kwargs = {name: value for name, value in call.kwargs.items() if name != without}
    return dataclasses.replace(call, kwargs={**kwargs, **options})


def _torch_made(f: Subject, call: Call) -> torch.nn.Module:
    """The torch module of a call that may say the eps, and the device; else it is a twin of f's."""
    kwargs = dict(call.kwargs)
    eps, device = kwargs.pop("eps", None), kwargs.pop("device", None)
    with quiet(), torch.device(device or "cpu"):
        module: torch.nn.Module = dataclasses.replace(call, kwargs=kwargs)()
    if eps is not None:
        module.eps = eps
    return module if device else called_from_cpu(module, f.device)


# --- modules of torch in a ModuleMap

#: Maps with nothing empty: torch's modules don't take everything.
_FULL: dict[str, Any] = {
    "min_blocks": 1,
    "min_samples": 2,
    "min_properties": 1,
    "bound": 24,
    "dtypes": st.sampled_from((torch.float32, torch.float64)),
}


def _modules(draw: Any, x: TensorMap, kinds: dict[str, Callable[[TensorBlock], Call]]) -> list[Call]:
    """A module for every block."""
    calls = []
    for i, block in enumerate(x):
        kind = draw(st.sampled_from(sorted(kinds)), label=f"kind_{i}")
        calls.append(kinds[kind](block))
    return calls


def _linear(block: TensorBlock) -> Call:
    return Call("torch.nn.Linear", (len(block.properties), 2), {"dtype": block.dtype})


#: Modules with a state, or that draw random numbers, or where samples meet. Of 1 to 2 components, the
#: first is the channel.
_STATEFUL: dict[str, Callable[[TensorBlock], Call]] = {
    "batch_norm": lambda block: Call(
        "torch.nn.BatchNorm1d" if block.values.dim() < 4 else "torch.nn.BatchNorm2d",
        (block.shape[1],),
        {"dtype": block.dtype},
    ),
    "batch_norm_average": lambda block: Call(
        "torch.nn.BatchNorm1d" if block.values.dim() < 4 else "torch.nn.BatchNorm2d",
        (block.shape[1],),
        {"momentum": None, "dtype": block.dtype},
    ),
    "dropout": lambda block: Call("torch.nn.Dropout", (0.5,)),
    "alpha_dropout": lambda block: Call("torch.nn.AlphaDropout", (0.25,)),
    "random_relu": lambda block: Call("torch.nn.RReLU"),
    "softmax": lambda block: Call("torch.nn.Softmax", (0,)),
    "linear": _linear,
}


@data_law("any_module_map", maps=_FULL, examples=60)
def one_forward_is_one_forward_of_every_module(f: Data, x: Any, draw: Any) -> Any:
    """A ModuleMap calls the module of every block once: outputs, running statistics and what is left of
    the random numbers are those of one call of each, in training and in evaluation. [doc] the module
    at position i is applied to the block of the i-th key; train() and eval() reach it [torch]."""
    calls = _modules(draw, x, _STATEFUL)
    modes = draw(st.lists(st.booleans(), min_size=1, max_size=3), label="modes")
    f.run("torch.manual_seed(0)", keys=x.keys, x=x)
    f.run("module = nn.ModuleMap(keys, modules)", modules=calls)
    twins = f.plain("modules")
    outputs, expected = [], []
    for mode in modes:
        with random_numbers_kept(f.device):
            values = [t.train(mode)(block.values) for t, block in zip(twins, x, strict=True)]
            expected += [[value.detach() for value in values], eval(f.random_state)]
        outputs.append(f.run(f"y = module.train({mode})(x)"))
        outputs.append(f.run(f.random_state))
    states = f.run("[one.state_dict() for one in modules]")
    outputs = [[b.values for b in y] if isinstance(y, TensorMap) else y for y in outputs]
    return [outputs, states], [expected, [dict(twin.state_dict()) for twin in twins]]


#: What a hook does, and the code that registers it.
_HOOKS = {
    "forward": "one.register_forward_hook(lambda m, x, y: calls.append('forward') or -y)",
    "pre": "one.register_forward_pre_hook(lambda m, x: calls.append('pre') or (2 * x[0],))",
    "backward": "one.register_full_backward_hook(lambda m, x, y: calls.append('backward'))",
}


@data_law("any_module_map", maps=_FULL, examples=60)
def hooks_of_modules_are_called(f: Data, x: Any, draw: Any) -> Any:
    """Hooks of the modules in a ModuleMap are called, once in a forward or backward, and what they
    return is used. [torch] modules are called, which runs their hooks; to call forward "silently
    ignores them"."""
    hook = draw(st.sampled_from(sorted(_HOOKS)), label="hook")
    f.run("torch.manual_seed(0)", keys=x.keys, x=x)
    f.run("module = nn.ModuleMap(keys, modules)", modules=[_linear(block) for block in x])
    f.run(f"calls = []\nfor one in modules:\n    {_HOOKS[hook]}")
    twins = f.plain("modules")
    y = f.run("y = module(x)")
    if hook == "backward":
        f.run("sum(y.block(i).values.sum() for i in range(len(x.keys))).backward()")
    found = f.run("[list(calls), y]")  # before the hooks of the twins, which are copies, append to them
    values = [twin(block.values) for twin, block in zip(twins, x, strict=True)]
    return found, [[hook] * len(x), with_values(y, values)]


@data_law("any_module_map", maps=_FULL, examples=20)
def modules_may_stand_in_several_places(f: Data, x: Any, draw: Any) -> Any:
    """A module that stands in several places, for one block or for many, is called in each of them.
    [torch] Sequential chains its modules in the order they are given, the same one as often as it is
    given; a module may be a child of several others."""
    f.run("torch.manual_seed(0)", keys=x.keys, x=x)
    square = [Call("torch.nn.Linear", (len(b.properties),) * 2, {"dtype": b.dtype}) for b in x]
    f.run("relu = torch.nn.ReLU()", modules=square)
    # of small integers, so that products are exact
    f.run("for one in modules:\n    for p in one.parameters():\n        p.data = p.data.mul_(3).round()")
    f.run("modules = [torch.nn.Sequential(one, relu, one, relu) for one in modules]")
    f.run("module = nn.ModuleMap(keys, modules)")
    twins = f.plain("modules")
    y = f.run("y = module(x)")
    return y, with_values(y, [twin(block.values) for twin, block in zip(twins, x, strict=True)])


@data_law("any_module_map", maps=_FULL, examples=20)
def parametrizations_of_modules_are_used(f: Data, x: Any, draw: Any) -> Any:
    """A parametrized weight is computed anew, and once, in every forward. [torch] parametrizations
    make an attribute a function of parameters; spectral_norm's state takes a step for each use."""
    name = draw(st.sampled_from(("weight_norm", "spectral_norm")), label="name")
    f.run("torch.manual_seed(0)", keys=x.keys, x=x)
    f.run("module = nn.ModuleMap(keys, modules)", modules=[_linear(block) for block in x])
    f.run(f"for one in modules:\n    torch.nn.utils.parametrizations.{name}(one)")
    twins = f.plain("modules")
    first = f.run("y = module(x)")
    doubled = "with torch.no_grad():\n    for one in modules:\n        for p in one.parameters():\n"
    f.run(f"{doubled}            p.mul_(2)")
    second = f.run("y = module(x)")
    expected = [with_values(first, [t(b.values) for t, b in zip(twins, x, strict=True)])]
    with torch.no_grad():
        for twin in twins:
            for parameter in twin.parameters():
                parameter.mul_(2)
    expected.append(with_values(second, [t(b.values) for t, b in zip(twins, x, strict=True)]))
    states = f.run("[one.state_dict() for one in modules]")
    return [first, second, states], [*expected, [dict(twin.state_dict()) for twin in twins]]


@data_law("any_module_map", maps=_FULL, examples=40)
def lazy_modules_are_made_by_the_first_forward(f: Data, x: Any, draw: Any) -> Any:
    """Lazy modules get their parameters from the first block that they are called with. [torch]
    torch.nn.LazyLinear infers in_features from the first input, by a hook of its call."""
    out_features = draw(st.integers(1, 3), label="out_features")
    calls = [Call("torch.nn.LazyLinear", (out_features,), {"dtype": x.dtype}) for _ in x]
    f.run("module = nn.ModuleMap(keys, modules)", keys=x.keys, modules=calls)
    twins = f.plain("modules")
    f.run("torch.manual_seed(0)", x=x)
    y = f.run("y = module(x)")
    torch.manual_seed(0)
    return y, with_values(y, [twin(block.values) for twin, block in zip(twins, x, strict=True)])


@data_law("any_module_map", tensor_maps(**{**_FULL, "one_width": True}), examples=40)
def from_module_makes_copies(f: Data, x: Any, draw: Any) -> Any:
    """ModuleMap.from_module gives every key a module as the one given, with parameters of its own:
    what is done to the one given, or to that of another key, changes nothing. [doc] from_module
    applies "the same type of module on each tensor block"."""
    f.run("torch.manual_seed(0)", keys=x.keys, x=x)
    f.run("module = nn.ModuleMap.from_module(keys, given)", given=_linear(x.block(0)))
    twin = f.plain("given")
    expected = [twin(block.values).detach() for block in x]
    first = f.run("y = module(x)")
    changed = draw(st.integers(0, len(x) - 1), label="changed")
    f.run("with torch.no_grad():\n    for p in given.parameters():\n        p.fill_(7)")
    code = f"list(module.parameters())[2 * {changed} : 2 * {changed} + 2]"
    f.run(f"with torch.no_grad():\n    for p in {code}:\n        p.zero_()")
    second = f.run("y = module(x)")
    zeroed = [torch.zeros_like(v) if i == changed else v for i, v in enumerate(expected)]
    return [first, second], [with_values(first, expected), with_values(second, zeroed)]
