export BANGER_STATE_DIR=/scratch/xfs/s BANGER_CACHE_DIR=/tmp/c BANGER_RUNTIME_DIR=/tmp/r BANGER_CONFIG=/tmp/c.toml
export BANGER_STORAGE_DRIVER=copy
(while sleep 5; do echo "beat $(cut -d' ' -f1 /proc/uptime) $(cut -d' ' -f1-3 /proc/loadavg)"; done) &
bin/banger daemon start
bin/banger vm create --name web --memory 512M --vcpu 1 --progress plain 2>&1 | tail -3
echo created
bin/banger vm list -o wide
time bin/banger vm exec web -- uname -a
bin/banger vm exec web -- sh -c 'lsblk; systemctl is-system-running; systemd-analyze'
echo done
kill %1
