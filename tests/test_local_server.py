"""What the servers of this machine share, seen from outside."""

import socket
from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from warraq.cli.main import main


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which something listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_taken_port_is_told_before_a_model_is_loaded_with_one_that_is_free(taken: int) -> None:
    result = CliRunner().invoke(main, ["serve", "--model", "no/such/model", "--port", str(taken)])
    assert result.exit_code == 2
    assert f"nothing can listen on 127.0.0.1, port {taken} (Address already in use); port" in result.output
    free = int(result.output.split("--port ")[1].rstrip(".\n"))
    assert taken < free < taken + 100


def test_an_address_of_another_machine_is_told() -> None:
    result = CliRunner().invoke(main, ["serve", "--model", "no/such/model", "--host", "192.0.2.1"])
    assert result.exit_code == 2 and "192.0.2.1" in result.output and "name another one with --host" in result.output
