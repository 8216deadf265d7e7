"""The committed transcripts are what the scenes and quirks say today, and there are enough of them."""
import json

import pytest

from make import ROOT, main, transcripts
from writers import WRITERS

TESTDATA = ROOT / "src/text/testdata/transcripts"


def test_committed_transcripts_are_current(tmp_path):
    main(tmp_path)
    assert {file.name for file in TESTDATA.iterdir()} == {file.name for file in tmp_path.iterdir()}
    for file in tmp_path.iterdir():
        assert (TESTDATA / file.name).read_bytes() == file.read_bytes(), file.name


@pytest.mark.parametrize("family", WRITERS)
def test_a_family_has_at_least_30(family):
    outputs = {json.dumps([one["output"], one.get("prompt"), one.get("tools")]) for one in transcripts(family)}
    assert len(outputs) >= 30
