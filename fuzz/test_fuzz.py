"""Every target has seeds and a limit, and what is kept stays small."""
import re

import fuzz
import seeds


def test_every_target_is_known_everywhere():
    built = re.findall(r"^pippin_fuzz_target\((\w+)", (fuzz.ROOT / "fuzz/CMakeLists.txt").read_text(), re.MULTILINE)
    assert sorted(built) == sorted(seeds.MAKERS) == sorted(fuzz.LONGEST)


def test_every_call_format_has_seeds():
    """Of answers, and of grammars, but for the one that no grammar is written for."""
    for target in ("parsers", "grammars"):
        heads = [seed.split(b"\n", 1)[0].split() for seed in seeds.MAKERS[target]()]
        named = {head[1 if target == "grammars" else 0].decode() for head in heads if target == "parsers" or head[0] == b"calls"}
        assert named >= set(seeds.call_formats()) - {"minimax_m3"}, target


def test_late_clips_are_late():
    """By an hour: the stamps that are written, whatever else there is."""
    for name, late in seeds.LATE.items():
        clip = (seeds.MEDIA / "video" / name).read_bytes()
        written = late(clip, 3600)
        assert late(clip, 0) != written and len(written) < len(clip) + 5000
        stamp = (3_600_000).to_bytes(4, "big")
        assert stamp in written and stamp not in clip, name


def test_seeds_fit():
    for target, make in seeds.MAKERS.items():
        made = list(make())
        assert len(set(made)) >= 10, target
        assert max(map(len, made)) <= fuzz.LONGEST[target], target


def test_the_corpora_are_small():
    sizes = {path: path.stat().st_size for path in fuzz.CORPUS.rglob("*") if path.is_file()}
    assert {path.parent.name for path in sizes} <= set(seeds.MAKERS)
    assert sum(sizes.values()) < 500_000
