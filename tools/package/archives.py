"""Archives that are the same bytes whenever they hold the same files: sorted names, one time, no owner."""
import io
import lzma
import pathlib
import tarfile
import time
import zipfile


def files(tree: pathlib.Path) -> list[tuple[str, pathlib.Path]]:
    """Returns the files of a tree and their names in it, sorted by name."""
    return sorted((str(path.relative_to(tree)), path) for path in tree.rglob("*") if path.is_file())


def mode(path: pathlib.Path) -> int:
    return 0o755 if path.stat().st_mode & 0o100 else 0o644


def tar_xz(tree: pathlib.Path, top: str, out: pathlib.Path, when: int) -> None:
    """Writes the files of `tree` under the folder `top`; `when` is their time, in seconds since 1970."""
    with lzma.open(out, "wb", preset=6) as packed, tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, path in files(tree):
            info = tarfile.TarInfo(f"{top}/{name}")
            info.size, info.mode, info.mtime = path.stat().st_size, mode(path), when
            with open(path, "rb") as data:
                tar.addfile(info, data)


def zip_file(entries: list[tuple[str, pathlib.Path | bytes]], out: pathlib.Path, when: int) -> None:
    """Writes `entries` in their order: names, and files or contents."""
    moment = time.gmtime(max(when, 315532800))[:6]  # zip's first year is 1980
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in entries:
            info = zipfile.ZipInfo(name, moment)
            info.create_system, info.compress_type = 3, zipfile.ZIP_DEFLATED
            info.external_attr = (0o100000 | (mode(content) if isinstance(content, pathlib.Path) else 0o644)) << 16
            source = open(content, "rb") if isinstance(content, pathlib.Path) else io.BytesIO(content)
            with source, archive.open(info, "w") as target:
                while chunk := source.read(1 << 20):
                    target.write(chunk)
