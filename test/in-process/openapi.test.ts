import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { OPENAPI_PATH, openapiText } from '../../tools/openapi.ts';
import { daemonFor } from '../support/daemon/test-daemon.ts';

type Document = { paths: Record<string, Record<string, unknown>>; components: { schemas: Record<string, unknown> } };
const parse = (text: string): Document => JSON.parse(text) as Document;
const METHODS = ['get', 'post', 'put', 'delete'];

/** @returns "METHOD /path" of every request in the table of docs/api.md */
function documented(): string[] {
  const page = readFileSync(join(import.meta.dirname, '../../docs/api.md'), 'utf8');
  const found = new Set<string>();
  for (const row of page.split('\n').filter((line) => line.startsWith('| `'))) {
    const [, cell = ''] = row.replaceAll('\\|', '/').split('|');
    let [method, path] = ['', ''];
    for (const [, quoted = ''] of cell.matchAll(/`([^`]+)`/g)) {
      const whole = /^(GET|POST|PUT|DELETE) ([^ ?]+)/.exec(quoted);
      if (whole !== null) [method = '', path = ''] = whole.slice(1);
      // "…/stop" stands where the last part of the path before it stood.
      else if (/^[…]?\/\w+$/.test(quoted)) path = path.replace(/\/\w+$/, quoted.replace('…', ''));
      else continue;
      found.add(`${method} ${path.replaceAll(/:(\w+)/g, '{$1}')}`);
    }
  }
  return [...found].filter((request) => request !== 'GET /openapi.json').toSorted();
}

test('docs/openapi.json is up to date; `make openapi` writes it (1.1)', () => {
  assert.equal(readFileSync(OPENAPI_PATH, 'utf8'), openapiText());
});

test('OpenAPI describes exactly the requests of docs/api.md, and the daemon serves each (1.1)', async (t) => {
  const { server } = await daemonFor(t);
  const { paths } = parse(openapiText());
  const described = Object.entries(paths).flatMap(([path, operations]) => Object.keys(operations).map((method) => ({ method, path })));
  assert.deepEqual(described.map(({ method, path }) => `${method.toUpperCase()} ${path}`).toSorted(), documented());
  for (const { method, path } of described) {
    assert.ok(METHODS.includes(method), method);
    const url = path.replaceAll(/\{(\w+)\}/g, ':$1');
    assert.ok(server.hasRoute({ method: method.toUpperCase(), url }), `${method} ${path}`);
  }
});

test('OpenAPI contains every schema that it refers to, and no other (1.1)', () => {
  const text = openapiText();
  const referred = new Set([...text.matchAll(/"\$ref": "#\/components\/schemas\/(\w+)"/g)].map(([, name = '']) => name));
  assert.deepEqual([...referred].toSorted(), Object.keys(parse(text).components.schemas).toSorted());
  assert.ok(referred.has('Vm') && referred.has('Error') && referred.has('OperationEvent'));
  for (const operations of Object.values(parse(text).paths)) {
    for (const operation of Object.values(operations)) assert.ok('default' in (operation as { responses: object }).responses);
  }
});
