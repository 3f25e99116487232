"""Unfinished work on a remote is whole or as it was before; results come home as commits."""

from pathlib import Path

import pytest

from support.cloud_project import run
from warraq.cloud import branch, unfinished
from warraq.cloud.remote import RemoteFolder
from warraq.files import write_text

PART = "models/nano/adapter.part"


@pytest.fixture
def remote(tmp_path: Path) -> RemoteFolder:
    return RemoteFolder.of_url(str(tmp_path / "store"))


def add_checkpoint(root: Path, step: int, whole: bool = True) -> None:
    folder = root / PART / f"1/output/checkpoint-{step}"
    write_text(folder / "optimizer.pt", f"moments {step}")
    if whole:
        write_text(folder / "trainer_state.json", f'{{"global_step": {step}}}')


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    root = tmp_path / "machine"
    write_text(root / PART / "fingerprint", "of this training")
    write_text(root / PART / "base/model.safetensors", "base")
    (root / PART / "1/output").mkdir(parents=True)
    (root / PART / "1/output/trainer_log.jsonl").write_text('{"step": 1}\n{"st', encoding="utf-8")
    write_text(root / "reports/nano/merged/predictions.jsonl.part", '{"page_id": "a"}\n')
    add_checkpoint(root, 2)
    return root


def send(machine: Path, remote: RemoteFolder) -> bool:
    return unfinished.send(machine, "nano", remote, machine.parent / "staging")


def test_another_machine_gets_what_is_whole(machine: Path, remote: RemoteFolder, tmp_path: Path) -> None:
    add_checkpoint(machine, 4, whole=False)
    assert send(machine, remote) and not send(machine, remote)
    other = tmp_path / "other"
    assert unfinished.restore(other, "nano", remote) == 5
    files = {path.relative_to(other).as_posix() for path in other.rglob("*") if path.is_file()}
    log = f"{PART}/1/output/trainer_log.jsonl"
    checkpoint = {f"{PART}/1/output/checkpoint-2/{name}" for name in ("optimizer.pt", "trainer_state.json")}
    assert files == {f"{PART}/fingerprint", log, "reports/nano/merged/predictions.jsonl.part", *checkpoint}
    assert (other / log).read_text(encoding="utf-8") == '{"step": 1}\n'
    assert unfinished.restore(other, "nano", remote) == 0, "what is begun stays"


def test_a_machine_that_dies_while_it_sends_leaves_what_was_sent_before(
    machine: Path, remote: RemoteFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(machine, remote)
    add_checkpoint(machine, 4)
    put, count = remote.put, iter(range(9))

    def die(name: str, source: Path) -> None:
        assert next(count) < 1, "the machine is gone"
        put(name, source)

    monkeypatch.setattr(remote, "put", die)
    with pytest.raises(AssertionError, match="gone"):
        send(machine, remote)
    monkeypatch.undo()
    assert unfinished.restore(tmp_path / "other", "nano", remote) == 5
    assert send(machine, remote)
    assert unfinished.restore(tmp_path / "third", "nano", remote) == 7


def test_damaged_work_is_begun_afresh(machine: Path, remote: RemoteFolder, tmp_path: Path) -> None:
    send(machine, remote)
    remote.write(remote.list_files("warraq/nano/objects")[0], b"other bytes")
    assert unfinished.restore(tmp_path / "other", "nano", remote) == 0
    assert not (tmp_path / "other" / PART).exists()


def test_results_come_home_as_commits_on_what_the_run_began_from(remote: RemoteFolder, tmp_path: Path) -> None:
    home, host = tmp_path / "home", tmp_path / "host"
    write_text(home / "dvc.lock", "before")
    for command in (["init", "--quiet", "--initial-branch", "main"], ["add", "."]):
        run(home, "git", *command)
    branch.call_git(home, "commit", "--quiet", "--message", "begun")
    run(tmp_path, "git", "clone", "--quiet", str(home), str(host))
    base = branch.call_git(host, "rev-parse", "HEAD")
    write_text(host / "dvc.lock", "after")
    assert branch.commit_results(host, "nano") and not branch.commit_results(host, "nano")
    branch.send_results(host, "nano", base, remote)
    assert branch.receive_results(home, "nano", remote)
    assert (home / "dvc.lock").read_text(encoding="utf-8") == "after"
    write_text(home / "dvc.lock", "another")
    branch.call_git(home, "commit", "--quiet", "--all", "--message", "went on")
    assert not branch.receive_results(home, "nano", remote), "they do not build on it"
