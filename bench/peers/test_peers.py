"""The parts of the comparison that can be wrong without anybody noticing: the statistics, the models' shapes, the plots."""
import pathlib
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import llama_tensors
import plot
import summary
from llama_tensors import random_checkpoint


def result(pippin: list[float], peer: list[float], goal: float = 1.5, **more) -> dict:
    return {"name": "decode", "kind": "decode", "model": "qwen3-0.6b", "prompt": 128, "sequences": 1, "goal": goal,
            "pippin": {"name": "pippin", "rates": pippin}, "peer": {"name": "llama.cpp", "rates": peer}, **more}


def test_ratio_is_that_of_the_medians_and_its_range_goes_round_by_round():
    ratio = summary.compare([10, 30, 20], [10, 10, 4])
    assert ratio == {"ratio": 2.0, "min": 1.0, "max": 5.0}


def test_spread_of_an_even_count_is_the_middle_of_the_two_in_the_middle():
    assert summary.spread([4, 1, 2, 10]) == {"median": 3.0, "min": 1, "max": 10}


def test_a_goal_is_met_at_its_very_figure_and_missed_below():
    assert summary.row(result([15], [10]))[-1] == "1.5x: met"
    assert summary.row(result([14.9], [10]))[-1] == "1.5x: missed"


def test_a_side_that_was_not_measured_leaves_its_cells_empty():
    assert summary.row(result([], [10]))[3:] == ["", "", ""]


def test_columns_line_up():
    lines = summary.table([result([15], [10]), result([1234.5], [0.171])]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert "1234 (1234-1234)" in lines[3] and "0.17 (0.17-0.17)" in lines[3]


@pytest.mark.parametrize("value,expected", [(0.9, 1), (1, 1), (1.1, 2), (88, 100), (130, 200), (201, 500), (501, 1000)])
def test_axes_end_at_a_round_number_that_is_no_less(value: float, expected: float):
    assert plot.nice_ceiling(value) == expected


def test_plots_show_each_side_with_every_point(tmp_path: pathlib.Path):
    results = [result([15, 16], [10, 11]), result([40], [20], sequences=4), result([9], [5], prompt=512)]
    plot.write_all({"results": results}, tmp_path)
    for name, points in (("batch.svg", 2), ("context.svg", 2)):
        root = ElementTree.parse(tmp_path / name).getroot()
        assert len(root.findall("{*}polyline")) == 2
        assert len(root.findall("{*}circle")) == 2 * points


def test_a_plot_of_one_point_is_left_out(tmp_path: pathlib.Path):
    plot.write_all({"results": [result([15], [10])]}, tmp_path)
    assert list(tmp_path.iterdir()) == []


def matrix_elements(shape: str, prefix: str) -> int:
    """Elements of the checkpoint's matrices, as ../random_checkpoint.py would write them."""

    class Counter(random_checkpoint.Writer):
        elements = 0

        def matrix(self, name: str, rows: int, columns: int) -> None:
            self.elements += rows * columns

        def plain(self, name: str, *shape: int, bias: bool = True) -> None:
            self.elements += int(np.prod(shape))

    counter = Counter(1, 4, 64)
    if prefix:
        random_checkpoint.add_tower(counter, random_checkpoint.VISION_SHAPES[shape]["vision"])
    else:
        random_checkpoint.add_decoder(counter, llama_tensors.full_config(shape))
    return counter.elements


@pytest.mark.parametrize("shape", random_checkpoint.SHAPES)
def test_both_sides_have_as_many_weights_in_matrices(shape: str):
    tensors = list(llama_tensors.decoder_tensors(llama_tensors.full_config(shape)))
    assert len({name for name, _ in tensors}) == len(tensors)
    assert sum(int(np.prod(dims)) for _, dims in tensors if len(dims) > 1) == matrix_elements(shape, "")


@pytest.mark.parametrize("shape", random_checkpoint.VISION_SHAPES)
def test_both_towers_have_as_many_weights_in_matrices(shape: str):
    tensors = list(llama_tensors.tower_tensors(random_checkpoint.VISION_SHAPES[shape]["vision"]))
    assert len({name for name, _ in tensors}) == len(tensors)
    assert sum(int(np.prod(dims)) for _, dims in tensors if len(dims) > 1) == matrix_elements(shape, "vision")


def test_random_q4_0_reads_back_with_the_variance_of_a_usual_layer():
    """Read as llama.cpp does: low nibbles are a block's first half, high ones its second, 8 is zero."""
    rows, columns = 64, 1024
    blocks = llama_tensors.random_q4_0(np.random.default_rng(1), rows, columns).reshape(rows, -1, 18)
    scales = np.ascontiguousarray(blocks[:, :, :2]).view(np.float16).astype(np.float32)
    nibbles = np.concatenate([blocks[:, :, 2:] & 15, blocks[:, :, 2:] >> 4], axis=2).astype(np.float32)
    values = scales * (nibbles - 8)
    assert values.size == rows * columns
    assert np.isclose(values.var() * columns, 1, rtol=0.15)  # 16 levels rather than a continuum: 1.13
