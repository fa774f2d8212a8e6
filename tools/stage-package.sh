#!/bin/sh
# Copies what every form of an installation has into a directory: programs, sources of what runs in guests, the built root helper.
# The first argument is the directory; nothing in it depends on where this checkout lies.
set -eu
target=$1
cd "$(dirname "$0")/.."
mkdir -p "$target/dist" "$target/native/helper/build"
cp -R bin images LICENSE README.md "$target/"
for name in bangerd http-front; do
  cp "dist/$name.cjs" "dist/$name.app" "$target/dist/"
done
# `bundle build` compiles these where the package is used. They are copied whole: by their hash a bundle is known to be up to date.
for folder in native/agent native/common native/forwarder; do
  mkdir -p "$target/$folder"
  (cd "$folder" && find . -name build -prune -o -type f -print | tar -cf - -T -) | tar -xf - -C "$target/$folder"
done
cp native/helper/build/banger-helper "$target/native/helper/build/"
cp dist/banger dist/client.mjs dist/banger-copy "$target/dist/"
for part in man completions client; do
  if [ -d "dist/$part" ]; then
    cp -R "dist/$part" "$target/dist/"
  fi
done
chmod -R u=rwX,go=rX "$target"
