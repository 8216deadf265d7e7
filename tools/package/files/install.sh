#!/bin/sh
# Copies Pippin from this folder to PREFIX (default: ~/.local): bin, lib and share. Files of others there are not touched.
#
#   ./install.sh [PREFIX]        ./install.sh --uninstall [PREFIX]
set -eu

here=$(cd "$(dirname "$0")" && pwd)
uninstall=no
if [ "${1:-}" = --uninstall ]; then
  uninstall=yes
  shift
fi
case "${1:-}" in -*)
  sed -n '2,4s/^# \{0,1\}//p' "$0"
  exit 2
  ;;
esac
prefix=${1:-$HOME/.local}

files() { (cd "$here" && find bin lib share -type f); }

files | while read -r file; do rm -f "$prefix/$file"; done
rm -rf "$prefix/lib/pippin" "$prefix/share/pippin"
if [ "$uninstall" = yes ]; then
  echo "Removed Pippin from $prefix"
  exit 0
fi
files | while read -r file; do
  mkdir -p "$(dirname "$prefix/$file")"
  cp "$here/$file" "$prefix/$file"
done
"$prefix/bin/pippin" --help >/dev/null || {
  echo "install.sh: $prefix/bin/pippin does not run here (it needs glibc 2.35 or newer)" >&2
  exit 1
}
echo "Installed $prefix/bin/pippin"
case ":$PATH:" in *":$prefix/bin:"*) ;; *) echo "$prefix/bin is not in your PATH" ;; esac
echo "Try: $prefix/bin/pippin run demo 'What is Pippin?'"
