"""Every command in README.md prints what README.md says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

README = (ROOT / "README.md").read_text("utf-8")
CONSOLE = "".join(re.findall(r"^```console\n(.*?)^```", README, re.M | re.S))
EXAMPLES = dict(re.findall(r"^\$ (.*)\n((?:[^$].*\n)*)", CONSOLE, re.M))
assert len(EXAMPLES) == CONSOLE.count("\n$ ") + 1 >= 6
NUMBER = re.compile(r"-?\d+\.\d+")


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """Return shell(command) -> what it prints, in a folder with what it needs."""
    folder = tmp_path_factory.mktemp("readme")
    for name in ("gmm-em.py", "gmm-visualize.py", "data.txt"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "python").symlink_to(sys.executable)  # whatever the machine calls it
    paths = [str(Path(sys.executable).parent), str(folder), os.environ["PATH"]]
    env = os.environ | {"PATH": os.pathsep.join(paths), "PYTHONUTF8": "1"}
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "cwd": folder}
    options |= {"env": env, "encoding": "utf-8"}
    return lambda command: subprocess.run(["bash", "-c", command], **options).stdout


@pytest.mark.parametrize("command", EXAMPLES)
def test_a_command_prints_what_the_readme_says(shell, command):
    found, wanted = shell(command), EXAMPLES[command]
    assert NUMBER.sub("#", found) == NUMBER.sub("#", wanted)
    # Another processor may round the last digits differently.
    numbers = [pytest.approx(float(x), rel=1e-6) for x in NUMBER.findall(wanted)]
    assert [float(number) for number in NUMBER.findall(found)] == numbers


def test_the_python_block_runs(shell):
    block = re.findall(r"^```python\n(.*?)^```", README, re.M | re.S)[0]
    printed = shell(f"python - <<END\n{block}print(round(ll, 2), *gammas.sum(0))\nEND")
    assert printed == "-989.79 1.0\n"
