import { createHash } from 'node:crypto';
import { totalmem } from 'node:os';
import type { LifecycleSettings } from '../context/services.ts';
import { placeOfInstallation } from '../model/network.ts';
import type { Config } from './config.ts';
import { defaultSpecOf } from './setting-defaults.ts';

/** A guest that writes 128 MiB in less time fills its overlay; few can, since each chunk is copied first. */
const SPACE_CHECK_MS = 500;
/** Under emulation, a service that systemd has started may need a minute until it listens. */
const DEGRADED_WAIT_MS = 60_000;

/**
 * The settings of the verbs, from config.toml.
 * @param stateDirectory distinguishes installations
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
    templates: { enabled: config.templates.enabled, budgetBytes: config.templates.budget, pool: config.templates.pool },
  };
}
