"""Tests of the demo: its picture is what its script draws, and it runs to the end against the built program."""
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import draw_pictures

HERE = pathlib.Path(__file__).resolve().parent


def test_the_committed_picture_is_what_the_script_draws():
    drawn = np.array([np.frombuffer(bytes(row), np.uint8) for row in draw_pictures.draw()]).reshape(
        draw_pictures.HEIGHT, draw_pictures.WIDTH, 3)
    committed = np.asarray(Image.open(HERE.parents[1] / "assets/pictures/shapes.png"))
    assert np.array_equal(drawn, committed)


@pytest.mark.parametrize("point, inside", [((120, 100), True), ((520, 100), True), ((320, 60), False), ((120, 285), True)])
def test_distance_tells_inside_from_outside(point, inside):
    assert any(draw_pictures.distance(point, corners) < 0 for _, corners in draw_pictures.SHAPES) == inside


def test_the_demo_runs_to_its_end():
    run = subprocess.run([sys.executable, str(HERE / "demo.py"), "--pippin", os.environ["PIPPIN_BINARY"]],
                         capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "blue" in run.stdout
    assert "vision encoder ran 0 times" in run.stdout
