// Parses the root helper's lines about overlays (heads of native/helper/dispatch.c and native/helper/overlay.c).
import { parseFacts } from '../../../lib/line-protocol.ts';
import { BangerError } from '../../../model/errors.ts';
import type { DiskUsage } from '../contract.ts';

/** What this driver needs of the root helper: one request line, the data lines of its reply. */
export type OverlayHelper = {
  /** @throws STORAGE_FAILED with the errno's name in details.errno; PREREQUISITE_MISSING if no helper answers */
  ask(request: string): Promise<string[]>;
};

/** @throws STORAGE_FAILED if these are not the lines of `hello` */
export function parseHello(lines: readonly string[]): { directory: string } {
  const [first = ''] = lines;
  const directory = parseFacts(first).get('directory');
  if (!first.startsWith('hello ') || directory === undefined) throw unexpected(lines);
  return { directory };
}

/** @returns the version of the kernel's device-mapper, or why there is none */
export function parseSupport(lines: readonly string[]): { version: string } | { missing: string } {
  const line = lines.find((candidate) => candidate.startsWith('overlay ')) ?? '';
  const version = parseFacts(line).get('device-mapper');
  return version === undefined ? { missing: line.replace(/^overlay missing=/, '') } : { version };
}

/** @throws STORAGE_FAILED if this is not the line of an overlay */
export function parseOverlay(lines: readonly string[]): { device: string; usage: DiskUsage } {
  const facts = parseFacts(lines[0] ?? '');
  const device = facts.get('device');
  const state = facts.get('state');
  const [usedBytes, sizeBytes, limitBytes] = ['used', 'size', 'limit'].map((name) => Number(facts.get(name)));
  const isWhole = usedBytes !== undefined && sizeBytes !== undefined && limitBytes !== undefined && limitBytes > 0;
  if (!isWhole || device === undefined || (state !== 'ok' && state !== 'overflow' && state !== 'invalid')) throw unexpected(lines);
  return { device, usage: { usedBytes, sizeBytes, limitBytes, state } };
}

function unexpected(lines: readonly string[]): BangerError {
  return new BangerError('STORAGE_FAILED', `the root helper sent an unexpected reply: ${JSON.stringify(lines)}`, {
    remedy: 'sudo banger setup',
  });
}
