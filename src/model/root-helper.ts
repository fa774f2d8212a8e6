// Paths of the root helper on the host. The helper itself has them from native/common/constants.h.

export const HELPER_CONFIG_PATH = '/etc/banger/helper.conf';
/** The helper's state, which a reboot of the host clears. */
export const HELPER_RUN_DIRECTORY = '/run/banger';
/** A directory for each user, with the devices that the helper made for them. */
export const HELPER_DEVICE_DIRECTORY = '/dev/banger';
/** Copies of firecracker and jailer: only root may change programs that root runs or puts into jails. */
export const JAIL_PROGRAMS = '/usr/local/lib/banger-jail';
export const JAIL_DIRECTORY = '/var/lib/banger-jail';
