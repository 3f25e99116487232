"""A project, packed once, on a remote: a folder, or what WARRAQ_TEST_REMOTE names."""

import os

import pytest
from click.testing import CliRunner

from support.cloud_project import Packed, make_project
from warraq.cli.main import main


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Packed:
    folder = tmp_path_factory.mktemp("cloud")
    home = make_project(folder / "home")
    url = os.environ.get("WARRAQ_TEST_REMOTE") or str(folder / "store")
    out = folder / "rented"
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(home.root)
        result = CliRunner().invoke(main, ["cloud", "pack", str(out), "--remote", url])
    assert result.exit_code == 0, result.output
    return Packed(home, out, url, result.stdout)
