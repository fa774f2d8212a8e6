# Installs $BANGER_PACKAGES: from the archives that the host has fetched and checked, or else by the guest's own apt. Services do
# not start on the way, nothing is flushed to a disk that is thrown away when this fails, and nobody is asked.
printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
chmod 0755 /usr/sbin/policy-rc.d
# An index of all manual pages is minutes of emulation for what few ask.
if command -v debconf-set-selections > /dev/null; then
  echo 'man-db man-db/auto-update boolean false' | debconf-set-selections
fi
options='-q -y --no-install-recommends -o DPkg::Options::=--force-unsafe-io -o DPkg::Options::=--force-confold'
if [ -d "$BANGER_BUILD/archives" ]; then
  apt-get $options install "$BANGER_BUILD"/archives/*.deb
  for archive in "$BANGER_BUILD"/archives/*.deb; do
    name=${archive##*/}
    name=${name%%_*}
    case " $BANGER_PACKAGES " in *" $name "*) ;; *) echo "$name" ;; esac
  done | xargs -r apt-mark auto > /dev/null
else
  apt-get -q update
  apt-get $options install $BANGER_PACKAGES
fi
rm -f /usr/sbin/policy-rc.d
