"""Sizes as Qwen2-VL's rule gives them: the cases are worked out by hand from its definition."""
import pytest
from PIL import Image

from demo_model.resize import FACTOR, MAX_PIXELS, MIN_PIXELS, target_size, to_model_size


@pytest.mark.parametrize("size, wanted", [
    ((256, 256), (256, 256)),        # as it is
    ((64, 64), (128, 128)),          # too small: scaled up to MIN_PIXELS
    ((1024, 1024), (256, 256)),      # too large: scaled down to MAX_PIXELS
    ((640, 480), (288, 192)),        # 295.6 x 221.7, rounded down
    ((200, 100), (192, 96)),         # nearest multiples: 6.25 and 3.125
    ((80, 240), (64, 256)),          # 2.5 rounds to even, 7.5 to 8
    ((1024, 64), (1024, 64)),        # any shape, if the area fits
    ((1000, 10), (1280, 32)),        # no side is rounded to nothing
])
def test_target_size(size, wanted):
    assert target_size(*size) == wanted


def test_every_size_fits():
    for w in range(64, 1025, 37):
        for h in range(64, 1025, 41):
            a, b = target_size(w, h)
            assert a % FACTOR == b % FACTOR == 0 and MIN_PIXELS <= a * b <= MAX_PIXELS


def test_a_fitting_picture_is_left_alone():
    picture = Image.new("RGB", (256, 128))
    assert to_model_size(picture) is picture
    assert to_model_size(Image.new("RGB", (500, 500))).size == (256, 256)
