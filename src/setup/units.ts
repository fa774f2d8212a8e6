// The files that setup writes, as text. Pure.
import { HELPER_RUN_DIRECTORY } from '../model/root-helper.ts';

/** In the administrator's own tree, like everything that does not come with a package of the distribution. */
export const HELPER_PATH = '/usr/local/lib/banger-helper';
export const SOCKET_PATH = `${HELPER_RUN_DIRECTORY}/helper.sock`;
export const SOCKET_UNIT = 'banger-helper.socket';
export const SERVICE_UNIT = 'banger-helper.service';

/** @returns the directory of the administrator's units (systemd.unit(5)) */
export function unitPath(name: string): string {
  return `/etc/systemd/system/${name}`;
}

/** @returns what a user does on a host without systemd */
export function foregroundHint(): string {
  return `there is no systemd here: keep this running as root, by your own service manager: ${HELPER_PATH} serve ${SOCKET_PATH}`;
}

/** Anyone may connect: the helper asks the kernel for the user, and its configuration lists those who may use it. */
export function socketUnit(): string {
  return `[Unit]
Description=Socket of banger's root helper

[Socket]
ListenStream=${SOCKET_PATH}
SocketMode=0666
DirectoryMode=0755
RemoveOnStop=yes

[Install]
WantedBy=sockets.target
`;
}

/** systemd.exec(5) and systemd.resource-control(5). Each usual restriction that is missing has its reason beside it. */
export function serviceUnit(): string {
  return `[Unit]
Description=banger's root helper: networks, disks and jails of virtual machines
Requires=${SOCKET_UNIT}
# Device groups below are looked up in /proc/devices when the service starts.
Wants=modprobe@tun.service modprobe@loop.service modprobe@dm_mod.service modprobe@dm_snapshot.service
After=${SOCKET_UNIT} modprobe@tun.service modprobe@loop.service modprobe@dm_mod.service modprobe@dm_snapshot.service

[Service]
ExecStart=${HELPER_PATH} serve
Restart=on-failure
# Virtual machines outlive the helper.
KillMode=process
Delegate=yes
UMask=0022
# The last one opens the network namespace of a user's process, for jails in it.
CapabilityBoundingSet=CAP_NET_ADMIN CAP_SYS_ADMIN CAP_MKNOD CAP_CHOWN CAP_FOWNER CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_SETUID CAP_SETGID CAP_KILL CAP_SYS_CHROOT CAP_SYS_RESOURCE CAP_SYS_PTRACE
NoNewPrivileges=yes
# Not strict: users' disks are written where they are, and a bind mount for each would keep files from being linked into jails.
ProtectSystem=full
DevicePolicy=closed
DeviceAllow=char-misc rwm
DeviceAllow=char-mem rwm
DeviceAllow=block-loop rwm
DeviceAllow=block-device-mapper rwm
RestrictAddressFamilies=AF_UNIX AF_NETLINK AF_INET
# Not ProtectKernelTunables: forwarding of the bridge and the uplink is a file of /proc/sys.
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectClock=yes
ProtectHostname=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictRealtime=yes
# Not RestrictSUIDSGID: it takes openat2(2) away, with which users' links are followed.
SystemCallArchitectures=native
SystemCallFilter=~@clock @cpu-emulation @debug @module @obsolete @raw-io @reboot @swap
SystemCallErrorNumber=EPERM
`;
}

const CONFIG_HEAD = '# Who may use banger-helper, and with what. `sudo banger setup --user NAME` adds a user.';

/**
 * Lets users in, and keeps every existing line: the administrator's own, and users that were let in before.
 * @param present the existing configuration; undefined if there is none
 */
export function helperConfig(present: string | undefined, uids: readonly number[]): string {
  const lines = present?.trimEnd().split('\n') ?? [CONFIG_HEAD];
  const allowed = new Set(lines.map((line) => /^\s*allow\s+(\d+)\s*$/.exec(line)?.[1]));
  const added = [...new Set(uids)].filter((uid) => !allowed.has(String(uid))).map((uid) => `allow ${uid}`);
  return `${[...lines, ...added].join('\n')}\n`;
}
