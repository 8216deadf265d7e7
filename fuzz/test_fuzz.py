"""Every target has seeds and a limit, and what is kept stays small."""
import re

import fuzz
import seeds


def test_every_target_is_known_everywhere():
    built = re.findall(r"^pippin_fuzz_target\((\w+)", (fuzz.ROOT / "fuzz/CMakeLists.txt").read_text(), re.MULTILINE)
    assert sorted(built) == sorted(seeds.MAKERS) == sorted(fuzz.LONGEST)


def test_seeds_fit():
    for target, make in seeds.MAKERS.items():
        made = list(make())
        assert len(set(made)) >= 10, target
        assert max(map(len, made)) <= fuzz.LONGEST[target], target


def test_the_corpora_are_small():
    sizes = {path: path.stat().st_size for path in fuzz.CORPUS.rglob("*") if path.is_file()}
    assert {path.parent.name for path in sizes} <= set(seeds.MAKERS)
    assert sum(sizes.values()) < 500_000
