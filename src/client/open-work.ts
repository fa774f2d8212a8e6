// Sessions that end with the daemon; the CLI lists them before it ends the daemon.
import type { Api } from './api.ts';
import { BangerError } from '../model/errors.ts';
import { safeText } from '../lib/terminal-text.ts';

/** Further ones are only counted. */
const NAMED = 5;
const LONGEST_NAME = 60;

/** @returns sessions and operations of the daemon, in words; none if no daemon answers, or it cannot tell */
export async function openWork(api: Api): Promise<string[]> {
  const [sessions, operations] = await Promise.all([ask(api.sessions()), ask(api.listOperations())]);
  const running = operations.filter(({ state }) => state === 'running');
  return [
    ...sessions.map(({ vm, what }) => shortened(`${what} (${vm})`)),
    ...running.map(({ verb, vmName }) => (vmName === null ? verb : `${verb} (${vmName})`)),
  ];
}

async function ask<T>(answer: Promise<T[]>): Promise<T[]> {
  try {
    const list = await answer;
    return Array.isArray(list) ? list : [];
  } catch (error) {
    if (error instanceof BangerError) return [];
    throw error;
  }
}

function shortened(text: string): string {
  const safe = safeText(text).replaceAll(/\s+/g, ' ');
  return safe.length > LONGEST_NAME ? `${safe.slice(0, LONGEST_NAME)}…` : safe;
}

/** @returns the names of the first few, and the number of the others */
export function nameWork(work: readonly string[]): string {
  const rest = work.length - NAMED;
  return `${work.slice(0, NAMED).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
}
