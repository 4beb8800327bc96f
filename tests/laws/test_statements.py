"""The statements of scripts: each once, and what may be refused is tried."""

from tmref.laws.statements import Statement, each_once, written


def lines(*codes, data=()):
    statements = [Statement(code, is_data=code in data) for code in codes]
    return [statement.code for statement in each_once(statements)]


def test_what_is_made_and_never_used_needs_no_name():
    assert lines("y = module(x)", "x = 2", "y = module(x)") == ["module(x)", "x = 2", "y = module(x)"]


def test_what_is_used_before_it_is_made_again_has_a_name_of_its_own():
    found = lines("y = module(x)", "z = y + 1", "y = module(x)", "print(y)")
    assert found == ["y_1 = module(x)", "z = y_1 + 1", "y = module(x)", "print(y)"]
    found = lines("y = module(x)", "z = y + y_1", "y = module(x)")
    assert found == ["y_2 = module(x)", "z = y_2 + y_1", "y = module(x)"]


def test_what_a_name_stood_for_before_is_not_written_again():
    found = lines("x = [1]", "x = [2]", "y = f(x)", "x = [1]", data=["x = [1]", "x = [2]"])
    assert found == ["x = [1]", "x_1 = x", "x = [2]", "y = f(x)", "x = x_1"]


def test_a_definition_is_there_already():
    assert lines("import gc", "class A:\n    pass", "import gc", "class A:\n    pass") == [
        "import gc",
        "class A:\n    pass",
    ]


def test_what_follows_on_the_same_is_a_loop():
    assert lines("f(x)", "f(x)", "f(x)", "g(x)") == ["for _ in range(3):\n    f(x)", "g(x)"]


def test_blocks_of_later_maps_are_counted_on():
    made = ["block_0 = a", "block_1 = b", "x = [block_0, block_1]"]
    assert lines(*made, "block_0 = c", "x = [block_0]") == [*made, "block_2 = c", "x = [block_2]"]
    of_more = ["block_0 = c", "block_1 = d", "block_2 = e", "x = [block_0, block_1, block_2]"]
    as_counted = ["block_2 = c", "block_3 = d", "block_4 = e", "x = [block_2, block_3, block_4]"]
    assert lines(*made, *of_more) == [*made, *as_counted]


def run(*statements):
    names = {"done": []}
    exec("\n".join(written(statements)), names)
    return names["done"]


FIRST, LAST = Statement("done.append(1)"), Statement("done.append(3)")


def test_after_what_is_refused_nothing_is_done_unless_it_was_refused_before(capsys):
    refused = Statement("raise ValueError('no')", may_be_refused=True)
    assert run(FIRST, refused, LAST) == [1]
    assert capsys.readouterr().out == "refused: no\n"
    assert run(FIRST, Statement("raise ValueError('no')", True, was_refused=True), LAST) == [1, 3]
    assert run(FIRST, refused) == [1]


def test_after_what_is_not_refused_all_is_done():
    may_be = Statement("done.append(2)", may_be_refused=True)
    assert run(FIRST, may_be, may_be, LAST) == [1, 2, 2, 3]
    assert run(may_be, Statement("done.append(2)", True, was_refused=True), LAST) == [2, 2, 3]
