"""The parent that looks at its workers; what it ends, tests of faults show."""

from types import SimpleNamespace

from tmref.laws.limits import Pulse
from tmref.watch import MEMORY, Watch


def test_a_worker_that_ended_is_looked_at_no_more():
    watch = Watch(MEMORY)
    node = SimpleNamespace(workerinput={}, gateway=SimpleNamespace(id="gw0"))
    watch.pytest_configure_node(node)
    try:
        folder = node.workerinput["tmref_pulses"]
        pulse = Pulse()
        path = watch.place_of("gw0")
        assert str(path.parent) == folder
        pulse.written_to(path)
        pulse.begins(1000)
        assert Pulse.read(path)[1] == 1000
        watch.pytest_testnodedown(node, None)
        assert Pulse.read(path) == (0, 0, 0)
        watch.pytest_testnodedown(node, None)
    finally:
        watch.pytest_unconfigure()
