// Measures the memory that a process holds after a full garbage collection. Unlike its RSS, it does not depend on the time of a collection.
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
/** Collects garbage now. */
export const collect = runInNewContext('gc') as () => void;

/** @returns bytes that are held now, without code and stacks */
export function heldBytes(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** @returns bytes that are kept; finalizers release buffers some turns after a first collection */
export async function keptBytes(): Promise<number> {
  for (let turn = 0; turn < 5; turn++) {
    collect();
    await sleep(20);
  }
  return heldBytes();
}
