// What a process still holds when all that can be collected is collected: unlike its RSS, no matter of when a collection comes.
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
/** Collects garbage now. */
export const collect = runInNewContext('gc') as () => void;

/** @returns bytes that are held at this moment, outside of code and stacks */
export function heldBytes(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** @returns bytes that are kept; buffers are let go of by finalizers, some turns after a first collection */
export async function keptBytes(): Promise<number> {
  for (let turn = 0; turn < 5; turn++) {
    collect();
    await sleep(20);
  }
  return heldBytes();
}
