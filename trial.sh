export BANGER_STATE_DIR=/scratch/xfs/s BANGER_CACHE_DIR=/tmp/c BANGER_RUNTIME_DIR=/tmp/r BANGER_CONFIG=/tmp/c.toml
export BANGER_STORAGE_DRIVER=copy
(while sleep 5; do echo "beat $(cut -d' ' -f1 /proc/uptime) $(cut -d' ' -f1-3 /proc/loadavg)"; done) &
bin/banger daemon start
bin/banger vm create --name web --memory 512M --vcpu 1 --progress plain 2>&1 | tail -3
echo created
bin/banger vm list -o wide
time bin/banger vm exec web -- uname -a
bin/banger vm exec web -- sh -c 'lsblk; systemctl is-system-running; systemd-analyze'
bin/banger vm ssh web -- 'ip -br a; echo persisted > /root/marker; sync'
time bin/banger vm stop web
bin/banger vm logs web --vmm | tail -5
time bin/banger vm start web
bin/banger vm exec web -- cat /root/marker
bin/banger vm exec web -- poweroff
sleep 10
bin/banger vm list
bin/banger vm logs web --events | tail -5
bin/banger vm start web
bin/banger vm exec web -- reboot
sleep 30
bin/banger vm list
bin/banger vm kill web
bin/banger vm delete web
bin/banger daemon stop
ls -la /scratch/xfs/s /tmp/r
pgrep -a firecracker
echo done
kill %1
