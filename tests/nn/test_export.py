"""torch.export of the modules: programs for one map's labels, that any process with tmref can run."""

import runpy
from pathlib import Path

import pytest
import torch
from torch.utils._pytree import tree_map

import tmref
from tmref import Labels, TensorBlock, TensorMap
from tmref.nn import ReLU

shared = runpy.run_path(str(Path(__file__).with_name("test_torch_modules.py")))
build, covariant = shared["build"], shared["covariant"]
KEYS, MODULES, module, x = (shared[name] for name in ("KEYS", "MODULES", "module", "x"))


@pytest.fixture
def close(same):
    """Asserts that two maps have the same metadata and, up to rounding, the same values."""

    def check(a, b):
        for one, other in zip(a, b, strict=True):
            torch.testing.assert_close(one.values, other.values, rtol=1e-12, atol=1e-13)
        same(tree_map(torch.zeros_like, a), tree_map(torch.zeros_like, b))

    return check


def saved(program, path):
    """The program after it was in a file."""
    torch.export.save(program, path)
    return torch.export.load(path)


@pytest.mark.parametrize("module", MODULES, indirect=True)
def test_programs_do_what_the_module_does(module, x, close, tmp_path):
    program = torch.export.export(module, (x,), strict=False)
    for p in (program, saved(program, tmp_path / "program.pt2")):
        out = p.module()(x)
        assert type(out) is TensorMap
        close(out, module(x))
        other = covariant(seed=1)
        close(p.module()(other), module(other))


def test_programs_have_the_parameters_of_the_module(x):
    module = build("Sequential")
    program = torch.export.export(module, (x,), strict=False)
    state = {name: p for name, p in program.state_dict.items() if not name.endswith("_mts_helper")}
    assert list(state) == [name for name, _ in module.named_parameters()]
    assert all(torch.equal(p, dict(module.named_parameters())[name]) for name, p in state.items())


def test_another_process_runs_programs(x, tmp_path, run_python):
    names = ["Linear", "LayerNorm", "Sequential", "EquivariantTransformation"]
    torch.save(x, tmp_path / "x.pt")
    for name in names:
        module = build(name)
        torch.save(module(x), tmp_path / f"{name}.out")
        torch.export.save(torch.export.export(module, (x,), strict=False), tmp_path / f"{name}.pt2")
    code = f"""
import torch, tmref
x = torch.load({str(tmp_path / "x.pt")!r})
for name in {names!r}:
    out = torch.export.load({str(tmp_path)!r} + f"/{{name}}.pt2").module()(x)
    expected = torch.load({str(tmp_path)!r} + f"/{{name}}.out")
    assert tmref.equal_metadata(out, expected)
    print(tmref.allclose(out, expected, rtol=1e-12, atol=1e-13))
"""
    found = run_python(code)
    assert found.stderr == ""
    assert found.stdout.split() == ["True"] * len(names)


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """An exported layer, loaded from its file."""
    program = torch.export.export(build("Linear"), (covariant(),), strict=False)
    return saved(program, tmp_path_factory.mktemp("export") / "linear.pt2").module()


def _with(x, **labels):
    """x with other labels in its blocks or for its keys."""
    blocks = [
        TensorBlock(
            b.values,
            labels.get("samples", lambda s: s)(b.samples),
            [labels.get("component", lambda c: c)(c) for c in b.components],
            labels.get("properties", lambda p: p)(b.properties),
        )
        for b in x
    ]
    return TensorMap(labels.get("keys", x.keys), blocks)


def _plus_100(labels):
    return Labels(labels.names, labels.values + 100)


def _renamed(labels):
    return Labels("renamed", labels.values)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({"samples": _plus_100}, "101"),
        ({"samples": _renamed}, "renamed"),
        ({"component": _plus_100}, "101"),
        ({"properties": _plus_100}, "100"),
        ({"properties": _renamed}, "renamed"),
        ({"keys": Labels(KEYS.names, torch.tensor([[0, 1], [1, -1], [1, 77]]))}, "77"),
        ({"keys": Labels(["o3_lambda", "parity"], KEYS.values)}, "parity"),
        ({"keys": Labels(KEYS.names[::-1], KEYS.values.flip(1))}, "o3_sigma  o3_lambda"),
    ],
    ids=lambda p: next(iter(p)) if isinstance(p, dict) else None,
)
def test_other_labels_are_refused_and_shown(given, shown, program, x):
    program(_with(x))  # equal labels, another object
    with pytest.raises(ValueError, match="input tree spec") as caught:
        program(_with(x, **given))
    assert shown in str(caught.value)
    assert "o3_lambda" in str(caught.value)


def test_other_sample_counts_are_refused(program):
    with pytest.raises(ValueError, match="input tree spec"):
        program(covariant(samples=(2, 3, 5)))


def test_fewer_blocks_are_refused(program):
    with pytest.raises(ValueError, match="input tree spec"):
        program(covariant(Labels(KEYS.names, KEYS.values[:2])))


def test_nothing_is_poisoned(same):
    x = covariant(properties=47)  # a width that no other test has seen
    module = ReLU(KEYS)
    out = torch.export.export(module, (x,), strict=False).module()(x)
    for tensor in (out, module(x), module(covariant(properties=47, seed=1))):
        for block in tensor:
            for labels in (block.samples, *block.components, block.properties, tensor.keys):
                assert type(labels.values) is torch.Tensor
            assert torch.equal(block.properties.values, torch.arange(47, dtype=torch.int32)[:, None])
    same(module(x), out)


class _PlusLabels(torch.nn.Module):
    """Adds to the values what stands in the labels."""

    def forward(self, x):
        blocks = [
            TensorBlock(
                b.values + b.samples.values[:, :1, None] + x.keys.column("o3_sigma").sum(),
                b.samples,
                b.components,
                b.properties,
            )
            for b in x
        ]
        return TensorMap(x.keys, blocks)


def test_labels_that_are_read_while_exporting_are_constants(same):
    x = covariant(first=5)
    module = _PlusLabels()
    program = torch.export.export(module, (x,), strict=False)
    for tensor in (x, program.module()(x)):
        for labels in (tensor.keys, tensor[1].samples):
            assert type(labels.values) is torch.Tensor
    same(program.module()(x), module(x))


def test_what_maps_say_of_themselves_is_part_of_the_program(program, x):
    telling = tmref.with_info(x.copy(), {"unit": "eV"})
    with pytest.raises(ValueError, match="input tree spec"):
        program(telling)
    again = torch.export.export(build("Linear"), (telling,), strict=False).module()
    assert again(telling).info() == {"unit": "eV"}
