"""Every command in README.md prints what README.md says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

README = (ROOT / "README.md").read_text()
CONSOLE = "".join(re.findall(r"^```console\n(.*?)^```", README, re.M | re.S))
EXAMPLES = re.findall(r"^\$ (.*)\n((?:[^$].*\n)*)", CONSOLE, re.M)
assert len(EXAMPLES) == CONSOLE.count("\n$ ") + 1 >= 6
NUMBER = re.compile(r"-?\d+\.\d+")


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """Return shell(command) -> what it prints, in a folder with what the commands need."""
    folder = tmp_path_factory.mktemp("readme")
    for name in ("gmm-em.py", "gmm-visualize.py", "data.txt"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "python").symlink_to(sys.executable)  # whatever the machine calls it

    def shell(command):
        path = os.pathsep.join([str(Path(sys.executable).parent), str(folder), os.environ["PATH"]])
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        options["env"] = os.environ | {"PATH": path, "MPLBACKEND": "module://no_display"}
        return subprocess.run(["bash", "-c", command], cwd=folder, **options).stdout

    return shell


@pytest.mark.parametrize("command, output", EXAMPLES, ids=[command for command, _ in EXAMPLES])
def test_a_command_prints_what_the_readme_says(shell, command, output):
    found = shell(command)
    assert NUMBER.sub("#", found) == NUMBER.sub("#", output)
    # Another processor may round the last digits differently.
    wanted = [pytest.approx(float(number), rel=1e-7) for number in NUMBER.findall(output)]
    assert [float(number) for number in NUMBER.findall(found)] == wanted


def test_the_python_block_runs(shell):
    block = re.findall(r"^```python\n(.*?)^```", README, re.M | re.S)[0]
    assert shell(f"python - <<END\n{block}print(round(ll, 2))\nEND") == "-989.79\n"
