// What a foreign image declares or expects and a VM ignores; reported once, at the import.
import type { InitSystem } from '../../model/image.ts';
import { numbersIn } from './acl.ts';
import type { ContainerConfig } from './container.ts';
import { resolveIn } from './init-system.ts';
import { textAt, type Texts } from './layers.ts';
import { shown } from './problem.ts';
import type { Tree } from './tree.ts';

/**
 * @param found.config of a container image; undefined for a root file system
 * @returns a sentence for each
 */
export function notesOf(
  image: { tree: Tree; texts: Texts },
  { initSystem, config }: { initSystem: InitSystem; config: ContainerConfig | undefined },
): string[] {
  const notes: string[] = [];
  const init = resolveIn(image.tree, '/sbin/init');
  const runsNothing = initSystem === 'none' && (config === undefined || config.entrypoint.length === 0);
  if (runsNothing && init !== undefined) {
    const known = `${shown(`/${init}`)} is not an init that banger knows, so the guest agent is the first program`;
    notes.push(`${known}, and services do not start by themselves: banger vm exec NAME -- COMMAND`);
  }
  if (config === undefined) return notes;
  if (config.hasHealthCheck) notes.push('its health check is not run: banger vm ports NAME shows what answers');
  if (config.unknownSignal !== null)
    notes.push(`its stop signal ${shown(config.unknownSignal)} is not a Linux signal, so banger sends SIGTERM`);
  if (initSystem === 'none') notes.push(...missingOf(image, config.user ?? ''));
  return notes;
}

/** @param user `NAME` or `UID`, with or without `:GROUP` or `:GID` */
function missingOf(image: { tree: Tree; texts: Texts }, user: string): string[] {
  const named = { 'etc/passwd': user.split(':')[0] ?? '', 'etc/group': user.split(':')[1] ?? '' };
  return Object.entries(named).flatMap(([path, name]) => {
    const isKnown = name === '' || name === 'root' || /^\d+$/.test(name) || numbersIn(textAt(image, path) ?? '').has(name);
    return isKnown ? [] : [`it runs as ${shown(user)}, and its /${path} has no ${shown(name)}: the entrypoint cannot be started`];
  });
}
