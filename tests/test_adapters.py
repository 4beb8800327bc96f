"""What a command says of the implementations that it is to try, and of where their library is from."""

import subprocess
import sys
from pathlib import Path

import pytest

ADAPTER = """
import my_library
from tmref.implementations.reference import Reference
from tmref.laws import row_of_function

class Mine(Reference):
    name, version, judges_data = "mine", "1.0", False
    rows = (row_of_function(my_library.doubled, name="doubled", traits=["keeps_keys"]),)

implementation = Mine()
"""
#: The copy that is installed works, that of the folder doesn't.
INSTALLED = "import tmref\ndef doubled(x):\n    return tmref.multiply(x, 2)\n"
OF_THE_FOLDER = "def doubled(x):\n    raise ValueError\n"


@pytest.mark.parametrize("file", ["my_library.py", "my_library/__init__.py"])
@pytest.mark.parametrize("is_installed", [True, False])
def test_of_a_library_in_its_checkout_the_copy_that_is_installed_is_checked(
    file, is_installed, tmp_path
):
    checkout, site = tmp_path / "checkout", tmp_path / "site"
    for folder, source in ((checkout, OF_THE_FOLDER), (site, INSTALLED)):
        (folder / file).parent.mkdir(parents=True)
        (folder / file).write_text(source)
    (checkout / "my_adapter.py").write_text(ADAPTER)
    (checkout / "types.py").write_text("raise ValueError('not that of Python')")
    done = subprocess.run(
        [
            Path(sys.executable).with_name("tmref"),
            *("check", "my_adapter:implementation", "-k", "doubled and keys_survive", "--quick"),
        ],
        env={"PYTHONPATH": str(site if is_installed else checkout)},
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
    )
    where = f"tmref check: my_library is imported from {site / file}, not from this folder\n"
    assert done.returncode == (0 if is_installed else 1), done.stderr
    assert (where in done.stderr) == is_installed
    assert done.stderr.count("this folder") == is_installed
