import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBootQueue } from './boot-queue.ts';

const never = new AbortController().signal;
const silent = (): void => undefined;

test('no more boots run at once than there are places; waiting ones are notified and run in order (4.2)', async () => {
  const queue = createBootQueue(2);
  const order: string[] = [];
  const boot = async (name: string) => {
    const release = await queue.take(never, () => order.push(`${name} waits`));
    order.push(name);
    return release;
  };
  const [first] = await Promise.all([boot('a'), boot('b')]);
  const [third, fourth] = [boot('c'), boot('d')];
  assert.deepEqual(order, ['a', 'b', 'c waits', 'd waits']);
  first?.();
  first?.();
  (await third)();
  await fourth;
  assert.deepEqual(order.slice(4), ['c', 'd']);
});

test('a caller that gives up leaves the queue, and takes no place from another (4.2)', async () => {
  const queue = createBootQueue(1);
  const release = await queue.take(never, silent);
  const impatient = new AbortController();
  const gone = queue.take(impatient.signal, silent);
  const next = queue.take(never, silent);
  impatient.abort(new Error('cancelled'));
  await assert.rejects(gone, /cancelled/);
  await assert.rejects(queue.take(impatient.signal, silent), /cancelled/);
  release();
  (await next)();
  await queue.take(never, () => assert.fail('the place is free'));
});
