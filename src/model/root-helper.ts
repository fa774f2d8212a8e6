// Places of the root helper on the host. The helper itself has the same as native/common/constants.h.

export const HELPER_CONFIG_PATH = '/etc/banger/helper.conf';
/** What the helper keeps; gone with the host's boot. */
export const HELPER_RUN_DIRECTORY = '/run/banger';
/** A folder for each user, with the devices that the helper made for it. */
export const HELPER_DEVICE_DIRECTORY = '/dev/banger';
/** Copies of firecracker and jailer: what root runs, and makes jails with, nobody else may change. */
export const JAIL_PROGRAMS = '/usr/local/lib/banger-jail';
export const JAIL_DIRECTORY = '/var/lib/banger-jail';
