"""The parent that looks at its workers; what it ends, tests of faults show."""

from types import SimpleNamespace

from tmref.laws.limits import MEMORY
from tmref.laws.pulse import Pulse
from tmref.watch import Watch


def test_a_worker_that_ended_is_looked_at_no_more():
    watch = Watch(MEMORY)
    node = SimpleNamespace(workerinput={}, gateway=SimpleNamespace(id="gw0"))
    watch.pytest_configure_node(node)
    try:
        folder = node.workerinput["tmref_pulses"]
        path = watch.place_of("gw0")
        assert str(path.parent) == folder
        Pulse.in_file(path).begins(1000)
        assert Pulse.read(path).may_take == 1000
        watch.pytest_testnodedown(node, None)
        assert Pulse.read(path).may_take == Pulse.read(path).process == 0
        watch.pytest_testnodedown(node, None)
    finally:
        watch.pytest_unconfigure()
