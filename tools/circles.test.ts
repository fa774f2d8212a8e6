import assert from 'node:assert/strict';
import { test } from 'node:test';
import { circlesIn } from './circles.ts';

const graph = (text: string): Map<string, string[]> =>
  new Map(text.split(' ').map((edges) => [edges[0] ?? '', edges.slice(1).split('')] as const));

test('what leads one way has no circle, however often the ways meet', () => {
  assert.deepEqual(circlesIn(graph('abc bd cd d')), []);
  assert.deepEqual(circlesIn(graph('ax')), [], 'a node that the graph does not know');
});

test('each circle is told once, by its shortest way around', () => {
  assert.deepEqual(circlesIn(graph('ab ba')), [['a', 'b']]);
  assert.deepEqual(circlesIn(graph('abc bd ca da')), [['a', 'c']]);
  assert.deepEqual(circlesIn(graph('xa ab bc cad de ed')), [
    ['d', 'e'],
    ['a', 'b', 'c'],
  ]);
});
