"""Tests of fetch_mlx: the pins are whole, a folder that holds them is left alone, a wrong hash leaves nothing behind."""
import re
import subprocess

import pytest

import fetch_mlx


@pytest.mark.parametrize("variant", ["cpu", "cuda12", "cuda13", "metal"])
def test_every_requirement_has_a_version_and_hashes(variant):
    entries = (fetch_mlx.PINS / f"{variant}.txt").read_text().replace("\\\n", "").splitlines()[1:]
    assert entries
    for entry in entries:
        assert re.fullmatch(r"[a-z0-9-]+==[0-9.]+( +--hash=sha256:[0-9a-f]{64})+", entry), entry


def test_all_variants_pin_the_same_mlx():
    texts = [path.read_text() for path in fetch_mlx.PINS.glob("*.txt")]
    assert len({re.search(r"^mlx-[a-z0-9-]+==([0-9.]+)", text, re.M)[1] for text in texts}) == 1


def test_bare_keeps_mlx_and_its_hashes_alone():
    pins = (fetch_mlx.PINS / "cuda13.txt").read_text()
    entries = fetch_mlx.bare(pins).splitlines()
    assert [entry.split("==")[0] for entry in entries] == ["mlx-cuda-13"]
    assert entries[0].count("--hash=sha256:") == 2


def test_a_folder_with_the_pinned_wheels_is_left_alone(tmp_path, monkeypatch):
    out = tmp_path / "cpu"
    out.mkdir()
    (out / "stamp").write_text("mlx-cpu==1.0\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("pip was called"))
    fetch_mlx.fetch("mlx-cpu==1.0\n", out)


def test_a_failed_download_leaves_the_old_folder(tmp_path, monkeypatch):
    out = tmp_path / "cpu"
    out.mkdir()
    (out / "stamp").write_text("mlx-cpu==1.0\n")

    def failing_download(*_):
        raise SystemExit("no")

    monkeypatch.setattr(fetch_mlx, "download", failing_download)
    with pytest.raises(SystemExit):
        fetch_mlx.fetch("mlx-cpu==2.0\n", out)
    assert (out / "stamp").read_text() == "mlx-cpu==1.0\n"
    assert [path.name for path in tmp_path.iterdir()] == ["cpu"]
