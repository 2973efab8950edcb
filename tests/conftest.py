"""The two scripts as modules, and as commands run the way a user runs them."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def load(name):
    """Import a script by its path: a hyphen keeps it from being imported by name."""
    spec = importlib.util.spec_from_file_location(name.replace("-", "_"), ROOT / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def root():
    return ROOT


@pytest.fixture(scope="session")
def em():
    return load("gmm-em")


@pytest.fixture(scope="session")
def viz():
    return load("gmm-visualize")


@pytest.fixture(scope="session")
def run():
    """Return run(script, *arguments, **options of subprocess.run) with text output captured."""

    def run(script, *arguments, **options):
        command = [sys.executable, ROOT / f"{script}.py", *map(str, arguments)]
        options = {"capture_output": True, "text": True, "cwd": ROOT, "timeout": 120} | options
        return subprocess.run(command, **options)

    return run
