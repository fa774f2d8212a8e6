import { createHash } from 'node:crypto';
import { totalmem } from 'node:os';
import type { LifecycleSettings } from '../context/services.ts';
import { placeOfInstallation } from '../model/network.ts';
import type { Config } from './config.ts';
import { defaultSpecOf } from './setting-defaults.ts';

/** A guest that writes 128 MiB in less than this runs into the end of its overlay; copying each chunk first, few can. */
const SPACE_CHECK_MS = 500;
/** Under emulation what systemd has started may need a minute until it listens. */
const DEGRADED_WAIT_MS = 60_000;

/**
 * What config.toml means for the verbs.
 * @param stateDirectory tells this installation from others
 */
export function settingsOf(config: Config, stateDirectory: string): LifecycleSettings {
  return {
    defaultSpec: defaultSpecOf(config.defaults),
    firstNetworkIndex: placeOfInstallation(createHash('sha256').update(stateDirectory).digest().readUInt32BE()),
    hostMemoryMib: Math.floor(totalmem() / 1024 ** 2),
    stopGraceMs: config.stop_grace_seconds * 1000,
    bootTimeoutMs: config.boot_timeout_seconds * 1000,
    degradedWaitMs: DEGRADED_WAIT_MS,
    spaceCheckMs: SPACE_CHECK_MS,
    reservedBytes: config.reserved_space,
  };
}
