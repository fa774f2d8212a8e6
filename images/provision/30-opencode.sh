# Title: opencode
# Needs: mise
# Artifacts: opencode
# Service port: 4096
#
# The pinned program lies in the root file system, and mise is told of it: the seed of work disks stays small, and `mise use
# opencode@…` changes the version as for any other tool.
directory=/opt/opencode/$OPENCODE_VERSION
mkdir -p "$directory"
tar -C "$directory" -x -z -f "$BANGER_BUILD/opencode" --strip-components=1 --no-same-owner
export MISE_OFFLINE=1 MISE_YES=1
mise link --force "opencode@$OPENCODE_VERSION" "$directory"
mise use --global "opencode@$OPENCODE_VERSION"
mise reshim

cat > /etc/systemd/system/opencode.service <<'END'
[Unit]
Description=opencode server
After=network.target

[Service]
Environment=HOME=/root MISE_OFFLINE=1 OPENCODE_DISABLE_AUTOUPDATE=1
WorkingDirectory=/root
ExecStart=/usr/local/bin/mise exec -- opencode serve --hostname 0.0.0.0 --port 4096
Restart=on-failure
RestartSec=2

[Install]
WantedBy=multi-user.target
END
systemctl enable opencode.service
