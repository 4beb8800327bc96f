"""Two sides are equal, or the first difference says where and what."""

import pytest
import torch

from tmref import Labels, TensorBlock, TensorMap
from tmref.compare import EPSILONS, TORCH_ERRORS, Refused, Tolerance, compare

INF, NAN = float("inf"), float("nan")


def make_block(values, *, names=("system", "n"), components=(), gradients=()):
    """A block of these values, its axes labelled from 0."""
    values = torch.as_tensor(values)
    labels = [Labels.range(names[0], len(values)), Labels.range(names[1], values.shape[-1])]
    block = TensorBlock(values, labels[0], list(components), labels[1])
    for parameter, of in gradients:
        samples = Labels.range("sample", len(of))
        block.add_gradient(parameter, TensorBlock(of, samples, [], block.properties))
    return block


def make_map(*blocks, name="k"):
    return TensorMap(Labels.range(name, len(blocks)), list(blocks))


def two(value=1.0, gradient=2.0, parameter="positions"):
    """A map of two blocks, the second of them with the gradient."""
    gradients = [(parameter, torch.tensor([[gradient]]))]
    first = make_block([[0.0]], gradients=[(parameter, torch.tensor([[0.0]]))])
    return make_map(first, make_block([[value]], gradients=gradients))


def axis(name, *rows):
    return Labels(name, torch.tensor(rows, dtype=torch.int32).reshape(-1, 1))


# --- equal


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.0])),
        (torch.tensor([0.0]), torch.tensor([-0.0])),
        (torch.tensor([NAN, 1.0]), torch.tensor([NAN, 1.0])),
        (torch.tensor([INF, -INF]), torch.tensor([INF, -INF])),
        (torch.tensor([True, False]), torch.tensor([True, False])),
        (torch.tensor([1 + 2j]), torch.tensor([1 + 2j])),
        (torch.empty(0, 3), torch.empty(0, 3)),
        (torch.tensor([1.0], requires_grad=True), torch.tensor([1.0])),
        (torch.nn.Parameter(torch.tensor([1.0])), torch.tensor([1.0])),
        (Labels.range("n", 2), Labels.range("n", 2)),
        (two(), two()),
        (make_map(), make_map()),
        (make_block([[1.0]]), make_block([[1.0]])),
        ([], []),
        ([1, torch.tensor(2.0), None], [1, torch.tensor(2.0), None]),
        ((1, 2), (1, 2)),
        ({"a": 1, "b": [torch.tensor(0.0)]}, {"a": 1, "b": [torch.tensor(-0.0)]}),
        (None, None),
        ("a", "a"),
        (1.5, 1.5),
    ],
)
def test_equal(left, right):
    assert compare(left, right) is None
    assert compare(right, left) is None
    assert compare(left, right, Tolerance(0.0, 1.0)) is None


def test_gradients_are_by_name_in_any_order():
    def with_gradients(*names):
        return make_map(make_block([[1.0]], gradients=[(n, torch.tensor([[2.0]])) for n in names]))

    assert compare(with_gradients("positions", "cell"), with_gradients("cell", "positions")) is None


def test_a_side_is_equal_to_itself():
    tensor = two()
    assert compare(tensor, tensor) is None


# --- different: the words, and the path that leads there


@pytest.mark.parametrize(
    ("left", "right", "path", "words"),
    [
        (
            torch.tensor([[1.0, 2.0]]),
            torch.tensor([[1.0, 3.0]]),
            "",
            "it is 2.0 at [0, 1], expected 3.0 (torch.float32, shape (1, 2))",
        ),
        (
            torch.tensor(1.0),
            torch.tensor(2.0),
            "",
            "it is 1.0 at [], expected 2.0 (torch.float32, shape ())",
        ),
        (
            torch.tensor([1.0]),
            torch.tensor([1.0], dtype=torch.float64),
            "",
            "it has the dtype torch.float32, expected torch.float64",
        ),
        (torch.zeros(0, 2), torch.zeros(0, 3), "", "it has the shape (0, 2), expected (0, 3)"),
        (torch.zeros(2), torch.zeros(2, 1), "", "it has the shape (2,), expected (2, 1)"),
        (
            torch.zeros(2, device="meta"),
            torch.zeros(2),
            "",
            "it has the device meta, expected cpu",
        ),
        (
            torch.tensor([NAN]),
            torch.tensor([1.0]),
            "",
            "it is nan at [0], expected 1.0 (torch.float32, shape (1,))",
        ),
        (
            torch.tensor([1.0, INF]),
            torch.tensor([1.0, -INF]),
            "",
            "it is inf at [1], expected -inf (torch.float32, shape (2,))",
        ),
        (
            torch.tensor([1, 2]),
            torch.tensor([1, 3]),
            "",
            "it is 2 at [1], expected 3 (torch.int64, shape (2,))",
        ),
        (
            Labels.range("n", 2),
            Labels.range("m", 2),
            "",
            "they are ['n'] [[0], [1]], where ['m'] [[0], [1]] were expected",
        ),
        (
            axis("n", 0, 1),
            axis("n", 1, 0),
            "",
            "they are ['n'] [[0], [1]], where ['n'] [[1], [0]] were expected",
        ),
        (
            Labels(["a", "b"], torch.tensor([[0, 1]])),
            Labels(["b", "a"], torch.tensor([[1, 0]])),
            "",
            "they are ['a', 'b'] [[0, 1]], where ['b', 'a'] [[1, 0]] were expected",
        ),
        (axis("n"), axis("n", 0), "", "they are ['n'] [], where ['n'] [[0]] were expected"),
        (
            make_map(make_block([[1.0]])),
            make_map(make_block([[1.0]]), name="other"),
            ".keys",
            "keys are ['k'] [[0]], where ['other'] [[0]] were expected",
        ),
        (
            two(),
            make_map(make_block([[0.0]])),
            ".keys",
            "keys are ['k'] [[0], [1]], where ['k'] [[0]] were expected",
        ),
        (
            two(value=1.0),
            two(value=5.0),
            ".block(1).values",
            "block(1).values is 1.0 at [0, 0], expected 5.0 (torch.float32, shape (1, 1))",
        ),
        (
            two(gradient=2.0),
            two(gradient=5.0),
            '.block(1).gradient("positions").values',
            'block(1).gradient("positions").values is 2.0 at [0, 0], expected 5.0 '
            "(torch.float32, shape (1, 1))",
        ),
        (
            two(),
            two(parameter="cell"),
            ".block(0).gradients_list()",
            "block(0) has gradients with respect to ['positions'], expected ['cell']",
        ),
        (
            make_map(make_block([[1.0]], names=("atom", "n"))),
            make_map(make_block([[1.0]])),
            ".block(0).samples",
            "block(0).samples are ['atom'] [[0]], where ['system'] [[0]] were expected",
        ),
        (
            make_map(make_block([[1.0]], names=("system", "p"))),
            make_map(make_block([[1.0]])),
            ".block(0).properties",
            "block(0).properties are ['p'] [[0]], where ['n'] [[0]] were expected",
        ),
        (
            make_map(make_block([[[1.0]]], components=[axis("m", 1)])),
            make_map(make_block([[[1.0]]], components=[axis("m", -1)])),
            ".block(0).components[0]",
            "block(0).components[0] are ['m'] [[1]], where ['m'] [[-1]] were expected",
        ),
        (
            make_map(make_block([[[1.0]]], components=[axis("m", 1)])),
            make_map(make_block([[1.0]])),
            ".block(0).components",
            "block(0) has 1 component, expected 0",
        ),
        (
            make_block([[1.0]]),
            make_block([[2.0]]),
            ".values",
            "values is 1.0 at [0, 0], expected 2.0 (torch.float32, shape (1, 1))",
        ),
        ([1, 2], [1, 3], "[1]", "[1] is 2, expected 3"),
        ([1], [1, 2], "", "it is [1], expected [1, 2]"),
        ([None], [None, None], "", "it has 1 entry, expected 2"),
        (
            [[], [axis("n")]],
            [[], [axis("m")]],
            "[1][0]",
            "[1][0] are ['n'] [], where ['m'] [] were expected",
        ),
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, "['b']", "['b'] is 2, expected 3"),
        ({"a": 1}, {"b": 1}, "", "it has the names ['a'], expected ['b']"),
        (
            {"weight": torch.tensor([1.0])},
            {"weight": torch.tensor([2.0])},
            "['weight']",
            "['weight'] is 1.0 at [0], expected 2.0 (torch.float32, shape (1,))",
        ),
        (1.0, 2.0, "", "it is 1.0, expected 2.0"),
        (None, torch.tensor(1.0), "", "it is nothing, where a Tensor was expected"),
        (torch.tensor(1.0), None, "", "it is a Tensor, where nothing was expected"),
        ([None], [1], "[0]", "[0] is nothing, where a int was expected"),
        (make_map(), Refused(), "", "it is a TensorMap, where a refusal was expected"),
        (Refused(), make_map(), "", "it is a refusal, where a TensorMap was expected"),
        ((1,), [1], "", "it is a tuple, where a list was expected"),
    ],
)
def test_different(left, right, path, words):
    difference = compare(left, right)
    assert (difference.path, difference.words) == (path, words)
    eval("left" + path, {"left": left})
    assert compare(right, left) is not None


def test_the_path_leads_to_what_differs():
    left, right = two(gradient=2.0), two(gradient=5.0)
    difference = compare(left, right)
    assert torch.equal(eval("left" + difference.path), difference.left)
    assert torch.equal(eval("right" + difference.path), difference.right)


def test_labels_on_other_devices_differ():
    difference = compare([Labels.range("n", 1).to("meta")], [Labels.range("n", 1)])
    assert (difference.path, difference.words) == ("[0]", "[0] are on meta, expected on cpu")


def test_the_first_difference_is_told():
    left = make_map(make_block([[1.0]], names=("atom", "p")), make_block([[2.0]], names=("atom", "p")))
    right = make_map(make_block([[3.0]]), make_block([[4.0]]))
    assert compare(left, right).path == ".block(0).samples"


# --- tolerance


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_tolerance_is_a_multiple_of_torchs_error_and_of_eps(dtype):
    eps = torch.finfo(dtype).eps
    assert Tolerance(0.5, 3.0).of(dtype) == TORCH_ERRORS * 0.5 + EPSILONS * eps * 3.0
    assert Tolerance(0.0, 0.0).of(dtype) == 0.0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_may_be_as_far_apart_as_the_tolerance_says(dtype):
    tolerance = Tolerance(0.0, 1.0)
    allowed = tolerance.of(dtype)
    one = torch.ones(2, 1, dtype=dtype)
    assert compare(one + allowed / 2, one, tolerance) is None
    difference = compare(one + 2 * allowed, one, tolerance)
    assert difference.words.endswith(f"{dtype}, shape (2, 1)); {allowed:.3g} apart would do")
    assert compare(one + allowed / 2, one) is not None


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (torch.tensor([1.0]), torch.tensor([1.0], dtype=torch.float64)),
        (torch.tensor([1.0]), torch.tensor([[1.0]])),
        (torch.tensor([NAN]), torch.tensor([1.0])),
        (torch.tensor([1.0]), torch.tensor([NAN])),
        (torch.tensor([INF]), torch.tensor([1.0])),
        (torch.tensor([INF]), torch.tensor([-INF])),
        (torch.tensor([1]), torch.tensor([2])),
        (torch.tensor([True]), torch.tensor([False])),
        (axis("n", 0), axis("n", 1)),
        (1, 2),
        ([1], [2]),
    ],
)
def test_nothing_else_is_forgiven(left, right):
    assert compare(left, right, Tolerance(100.0, 100.0)) is not None


@pytest.mark.parametrize("value", [torch.tensor([1, 2], dtype=torch.uint8), torch.tensor([True, False])])
def test_a_tolerance_says_nothing_of_integers(value):
    assert compare(value, value.clone(), Tolerance(1.0, 1.0)) is None
    assert compare(value, value.flip(0), Tolerance(1.0, 1.0)).words.endswith("shape (2,))")


def test_complex_numbers_have_a_tolerance():
    one = torch.tensor([1 + 1j])
    assert compare(one * (1 + 1e-7), one, Tolerance(0.0, 1.0)) is None
    assert compare(one * 1.1, one, Tolerance(0.0, 1.0)) is not None


def test_infinities_stay_equal_beside_values_that_are_near():
    left = torch.tensor([1.0, INF, -INF, NAN])
    right = torch.tensor([1.0 + 1e-7, INF, -INF, NAN])
    assert compare(left, right, Tolerance(0.0, 1.0)) is None


def test_numbers_are_as_exact_as_float32_where_their_arithmetic_rounds():
    tolerance = Tolerance(0.0, 1.0)
    assert compare(1.0, 1.0 + 1e-7, tolerance) is None
    assert compare(1.0, 1.0 + 1e-7) is not None
    assert compare(1.0, 1.001, tolerance).words == "it is 1.0, expected 1.001"
    assert compare(float("nan"), float("nan")) is None
    assert compare(float("nan"), 1.0, tolerance) is not None
    assert compare(float("inf"), float("inf"), tolerance) is None
    assert compare(float("inf"), 1.0, tolerance) is not None
