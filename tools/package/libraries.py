#!/usr/bin/env python3
"""Builds the libraries that a package carries in a smaller form than Debian's: FFmpeg with the demuxers and decoders that src/media
uses, and libcurl for HTTP alone.

  libraries.py --out build/package/libraries

The sources are Debian's source packages of the versions in sources.json, with Debian's security patches; apt-get fetches them from
where this machine gets its packages, and their hashes are checked. The interfaces are those of Debian's own packages, which
build/release/pippin was linked against. Repeatable: what was built from the same pins is left alone.
"""
import argparse
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
PINS = HERE / "sources.json"

# What src/media/video_source.cpp asks for: its three demuxers, and its decoders except "av1", which decodes on GPUs alone.
DEMUXERS = "mov,matroska,gif"
DECODERS = "h264,hevc,vp8,vp9,libdav1d,mpeg4,mjpeg,prores,gif"
PARSERS = "h264,hevc,vp8,vp9,av1,mpeg4video,mjpeg,gif"

FFMPEG = ["--prefix=/pippin", "--enable-shared", "--disable-static", "--disable-debug", "--disable-programs", "--disable-doc",
          "--disable-everything", "--disable-autodetect", "--disable-network", "--disable-avdevice", "--disable-avfilter",
          "--disable-swresample", "--disable-postproc", "--enable-zlib", "--enable-libdav1d",
          f"--enable-demuxer={DEMUXERS}", f"--enable-decoder={DECODERS}", f"--enable-parser={PARSERS}"]

# No --with-ca-bundle: OpenSSL's own places for certificates, which SSL_CERT_FILE and SSL_CERT_DIR override.
CURL = ["--prefix=/pippin", "--disable-static", "--enable-versioned-symbols", "--with-openssl", "--with-zlib",
        "--enable-threaded-resolver", "--without-ca-bundle", "--without-ca-path", "--with-ca-fallback",
        *(f"--without-{name}" for name in ("libpsl", "brotli", "zstd", "nghttp2", "libidn2", "librtmp", "libssh2", "gssapi")),
        *(f"--disable-{name}" for name in ("ldap", "ldaps", "rtsp", "dict", "telnet", "tftp", "pop3", "imap", "smb", "smtp", "gopher",
                                           "mqtt", "ftp", "file", "manual", "ntlm", "alt-svc", "hsts", "unix-sockets"))]

OPTIONS = {"ffmpeg": FFMPEG, "curl": CURL}


def run(command: list[str], **options) -> None:
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if result.returncode:
        sys.exit(f"libraries: {' '.join(command[:4])} ... failed:\n{result.stdout[-4000:]}")


def source_lists() -> str:
    """Returns this machine's lists of package sources, asking for source packages instead of binary ones."""
    places = [pathlib.Path("/etc/apt/sources.list"), *sorted(pathlib.Path("/etc/apt/sources.list.d").glob("*"))]
    texts = []
    for place in places:
        if place.suffix == ".sources":
            texts += [text for text in re.split(r"\n\s*\n", place.read_text()) if "debian" in text.lower()]
        elif place.suffix == ".list" and place.exists():
            texts += [one_line(line) for line in place.read_text().splitlines() if re.match(r"deb\s.*debian", line)]
    return "\n\n".join(re.sub(r"(?m)^Types:.*$", "Types: deb-src", text).strip() for text in texts) + "\n"


def one_line(line: str) -> str:
    """Returns a line of a sources.list as a paragraph of a .sources file."""
    signed = re.search(r"signed-by=(\S+?)[\]\s]", line)
    uri, suite, *components = re.sub(r"\[.*?\]", "", line).split()[1:]
    return f"Types: deb\nURIs: {uri}\nSuites: {suite}\nComponents: {' '.join(components)}" + (
        f"\nSigned-By: {signed[1]}" if signed else "")


def download(pins: dict, folder: pathlib.Path) -> None:
    """Fetches the source packages of `pins` into `folder` and checks every file."""
    state = folder / "apt"
    (state / "lists/partial").mkdir(parents=True)
    (state / "package.sources").write_text(source_lists())
    apt = ["apt-get", "-qq", "-o", f"Dir::State::Lists={state}/lists", "-o", "Dir::Etc::SourceList=/dev/null",
           "-o", f"Dir::Etc::SourceParts={state}", "-o", "APT::Sandbox::User=root"]
    run([*apt, "update"])
    for name, pin in pins.items():
        run([*apt, "source", "--download-only", f"{name}={pin['version']}"], cwd=folder)
        for file, expected in pin["files"].items():
            found = hashlib.sha256((folder / file).read_bytes()).hexdigest()
            if found != expected:
                sys.exit(f"libraries: {file} has the SHA-256 {found}, expected {expected}")


def unpack(pin: dict, scratch: pathlib.Path, source: pathlib.Path) -> None:
    """Unpacks a source package with Debian's patches, less those that make another flavour of it."""
    description = next(file for file in pin["files"] if file.endswith(".dsc"))
    run(["dpkg-source", "--no-check", "-x", description, str(source)], cwd=scratch)
    for patch in pin.get("without_patches", []):
        run(["patch", "--reverse", "-p1", "--input", f"debian/patches/{patch}"], cwd=source)


def configure_and_build(options: list[str], source: pathlib.Path, installed: pathlib.Path) -> None:
    environment = {**os.environ, "CFLAGS": f"-O2 -ffile-prefix-map={source}=.", "SOURCE_DATE_EPOCH": "0"}
    run(["./configure", *options], cwd=source, env=environment)
    run(["make", f"-j{os.cpu_count()}"], cwd=source, env=environment)
    run(["make", "install", f"DESTDIR={installed}"], cwd=source, env=environment)


def build(name: str, pin: dict, scratch: pathlib.Path, out: pathlib.Path) -> None:
    print(f"-- Building {name} {pin['version']} for the packages (some minutes, once)", flush=True)
    source, installed = scratch / name, scratch / f"{name}-installed"
    unpack(pin, scratch, source)
    configure_and_build(OPTIONS[name], source, installed)
    (out / "lib").mkdir(parents=True, exist_ok=True)
    for library in sorted((installed / "pippin/lib").glob("*.so.*")):
        if re.fullmatch(r".*\.so\.\d+", library.name):  # the name that programs ask for, a link
            shutil.copy(library.resolve(), out / "lib" / library.name)
    text = "\n".join((source / file).read_text() for file in pin["licenses"])
    (out / f"{name}.license").write_text(text)


def key(name: str, pin: dict) -> str:
    return hashlib.sha256(json.dumps([pin, OPTIONS[name]]).encode()).hexdigest()


def is_built(name: str, pin: dict, out: pathlib.Path) -> bool:
    stamp = out / f"{name}.stamp"
    return stamp.exists() and stamp.read_text() == key(name, pin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, type=pathlib.Path)
    out = parser.parse_args().out.resolve()
    pins = json.loads(PINS.read_text())
    missing = {name: pin for name, pin in pins.items() if not is_built(name, pin, out)}
    if not missing:
        return
    with tempfile.TemporaryDirectory() as folder:
        download(missing, pathlib.Path(folder))
        for name, pin in missing.items():
            build(name, pin, pathlib.Path(folder), out)
            (out / f"{name}.stamp").write_text(key(name, pin))


if __name__ == "__main__":
    main()
