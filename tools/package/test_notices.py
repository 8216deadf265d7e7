"""Tests of what a package says it is made of."""
import hashlib
import json
import plistlib
import re
import tomllib

import components
import formula
import notices
import package
from components import ROOT, Component

PARTS = [Component("one", "1.0", "MIT", "pkg:cargo/one@1.0", ["the MIT text"]), Component("two", "2.0", "MIT", "pkg:cargo/two@2.0", ["the MIT text", "a notice"]),
         Component("three", "3.0", "Zlib", "pkg:cargo/three@3.0", [])]


def test_every_crate_that_is_compiled_in_is_listed_with_its_licence():
    found = {part.name: part for part in components.crates(ROOT)}
    locked = {(entry["name"], entry["version"]) for entry in tomllib.loads((ROOT / "rust/Cargo.lock").read_text())["package"]}
    direct = tomllib.loads((ROOT / "rust/Cargo.toml").read_text())["dependencies"]
    assert set(direct) < set(found) and "pippin_rust" not in found
    for part in found.values():
        assert part.name == "rust-std" or (part.name, part.version) in locked
        assert re.fullmatch(r"[\w.+() -]+", part.license) and "/" not in part.license and part.license != "NOASSERTION"
    assert len([part for part in found.values() if not part.texts]) <= 1  # rust-std, where its documentation is not installed


def test_crates_of_tests_build_scripts_and_macros_are_not_listed():
    link = lambda name, kind: {"pkg": name, "dep_kinds": [{"kind": kind}]}
    nodes = [{"id": "root", "deps": [link("used", None), link("test", "dev"), link("script", "build"), link("macro", None)]},
             {"id": "used", "deps": [link("deep", None)]}, *({"id": name, "deps": []} for name in ("deep", "test", "script", "of macro")),
             {"id": "macro", "deps": [link("of macro", None)]}]
    kind = lambda name: "proc-macro" if name == "macro" else "lib"
    packages = [{"id": node["id"], "name": node["id"], "version": "1", "targets": [{"kind": [kind(node["id"])]}]} for node in nodes]
    listed = components.used({"resolve": {"root": "root", "nodes": nodes}, "packages": packages})
    assert [entry["name"] for entry in listed] == ["deep", "used"]


def test_a_licence_text_is_printed_once_under_all_its_names():
    text = notices.third_party(PARTS)
    assert text.count("the MIT text") == 1 and "one, two" in text and "three 3.0: Zlib" in text


def test_the_sbom_is_whole_and_the_same_each_time():
    document = json.loads(notices.sbom(PARTS, "1.2.3", 0))
    assert notices.sbom(PARTS, "1.2.3", 0) == notices.sbom(PARTS, "1.2.3", 0)
    assert document["spdxVersion"] == "SPDX-2.3" and document["creationInfo"]["created"] == "1970-01-01T00:00:00Z"
    names = [entry["SPDXID"] for entry in document["packages"]]
    assert len(set(names)) == 4 and {entry["name"] for entry in document["packages"]} == {"pippin", "one", "two", "three"}
    assert all({link["spdxElementId"], link["relatedSpdxElement"]} <= {*names, "SPDXRef-DOCUMENT"} for link in document["relationships"])
    assert document["documentNamespace"] != json.loads(notices.sbom(PARTS[:2], "1.2.3", 0))["documentNamespace"]


def test_the_services_start_the_program_with_options_that_it_has():
    unit = (package.FILES / "pippin.service").read_text()
    job = plistlib.loads((package.FILES / "pippin.plist").read_bytes())["ProgramArguments"]
    assert "ExecStart=/usr/bin/pippin serve $PIPPIN_MODEL $PIPPIN_OPTIONS\n" in unit and "EnvironmentFile=-/etc/default/pippin\n" in unit
    defaults = (package.FILES / "default").read_text()
    options = "".join(file.read_text() for file in sorted((ROOT / "src/main").glob("*.cpp")))
    for option in re.findall(r"--[a-z-]+(?= )", unit + defaults + " ".join(job) + " "):
        assert f'"{option}"' in options or f"{option}," in options, option


def test_the_formula_names_the_archive_by_its_hash(tmp_path):
    (tmp_path / "source.tar.gz").write_bytes(b"source")
    text = formula.formula("https://pippin.invalid", "https://pippin.invalid/source.tar.gz", tmp_path / "source.tar.gz")
    assert f'sha256 "{hashlib.sha256(b"source").hexdigest()}"' in text and 'url "https://pippin.invalid/source.tar.gz"' in text
    assert "@HOME" not in text and text.startswith("class Pippin")
    brewfile = (ROOT / "tools/setup/Brewfile").read_text()
    assert set(re.findall(r'brew "(.*)"', brewfile)) <= set(re.findall(r'depends_on "([^"]+)"', text))
