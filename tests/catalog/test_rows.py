import dataclasses

import pytest
import torch

from tmref import nn
from tmref.catalog import ROWS, TRAITS

ROW = {row.name: row for row in ROWS}
rows = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


def test_names_of_rows_are_unique_identifiers():
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() and name.islower() for name in names)


@rows
def test_rows_have_known_traits(row):
    assert row.traits
    assert row.traits <= set(TRAITS)


#: What none of metatensor's modules promises: properties are those asked for, samples are kept, explicit
#: gradients refused or transformed, and there is one input.
OF_OTHERS = ("keeps_properties", "invariant", "aggregates", "matches_labels", "leaves_out_gradients")


@pytest.mark.parametrize("trait", TRAITS)
def test_traits_have_rows_and_words(trait):
    assert any(trait in row.traits for row in ROWS) == (trait not in OF_OTHERS)
    assert len(TRAITS[trait].split()) > 3


@rows
def test_rows_name_modules_of_the_reference_and_of_torch(row):
    assert row.module in nn.__all__
    assert row.layers
    for layer in row.layers:
        assert issubclass(getattr(torch.nn, layer.base), torch.nn.Module)
        if row.kind.modules_at is not None:
            assert layer.name == layer.base
        else:
            assert layer.name in nn.__all__
    if row.kind in row.layers:
        assert row.layers == (row.kind,)
    else:
        assert row.module in ("ModuleMap", "EquivariantTransformation", "Sequential")


def test_every_module_of_the_reference_has_a_row():
    found = {row.module for row in ROWS} | {layer.name for row in ROWS for layer in row.layers}
    assert set(nn.__all__) - {"Module", "Buffer"} <= found


def test_rows_by_invariance_take_spherical_maps():
    names = {row.name for row in ROWS if row.by_invariance}
    assert names == {row.name for row in ROWS if row.maps.get("spherical")}
    assert {
        "equivariant_linear",
        "invariant_relu",
        "invariant_layer_norm",
        "equivariant_tanh",
        "sequential_equivariant",
    } <= names
    assert names.isdisjoint({"linear", "silu_in_place", "layer_norm", "sequential_layer_norm"})


def test_one_row_changes_its_input():
    assert [row.name for row in ROWS if "pure" not in row.traits] == ["silu_in_place"]
    assert (ROW["silu_in_place"].module, ROW["silu_in_place"].kind.options) == (
        "SiLU",
        {"in_place": True},
    )


def test_rows_that_keep_sizes_are_those_of_factors_for_the_values():
    assert [row.name for row in ROWS if row.keeps_sizes] == ["equivariant_tanh", "equivariant_mlp"]


def test_rows_are_plain_data():
    assert all(dataclasses.replace(row) == row for row in ROWS)
    with pytest.raises(dataclasses.FrozenInstanceError):
        ROWS[0].name = "another"


def test_the_exact_rows_are_those_of_sums_and_products():
    names = {row.name for row in ROWS if row.exact}
    assert {"linear", "linear_no_bias", "relu", "sequential_linear", "sequential_mlp"} <= names
    assert {"equivariant_linear", "invariant_relu"} <= names
    assert names.isdisjoint({"silu", "tanh", "module_map_tanh", "module_map_mlp", "sequential_tanh"})
    assert names.isdisjoint({"layer_norm", "equivariant_tanh", "equivariant_mlp"})


def test_the_catalog_imports_no_hypothesis(run_python):
    done = run_python(
        "import sys, tmref.catalog\n"
        "print(sorted({'hypothesis', 'pytest', 'tmref.strategies'} & set(sys.modules)))"
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
