import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRequests, requestOf } from './call.ts';
import { type Api, createApi, type VmVerbBody } from './api.ts';
import type { Routes } from '../api/routes.ts';
import type { Operation, VmView } from '../api/schemas.ts';

test('values in a path or a query cannot change the route (1.1)', () => {
  const { method, path } = requestOf('GET /v1/vms/:ref/files', {
    params: { ref: '../daemon' },
    query: { path: '/a b&c', mode: undefined, tail: '' },
  });
  assert.deepEqual([method, path], ['GET', '/v1/vms/..%2Fdaemon/files?path=%2Fa%20b%26c&tail=']);
  assert.equal(requestOf('GET /v1/vms/:ref', { params: { ref: '$& :ref' } }).path, '/v1/vms/%24%26%20%3Aref');
});

test('a request contains only what the caller gave (1.1)', () => {
  assert.deepEqual(requestOf('GET /v1/vms'), { method: 'GET', path: '/v1/vms' });
  const { signal } = new AbortController();
  assert.deepEqual(requestOf('POST /v1/vms', { body: { name: 'web' }, attach: true, signal }), {
    method: 'POST',
    path: '/v1/vms',
    json: { name: 'web' },
    headers: { 'Banger-Attach': '1' },
    signal,
  });
  assert.deepEqual(requestOf('POST /v1/vms', { body: {}, attach: false }), { method: 'POST', path: '/v1/vms', json: {} });
});

/** Read by the compiler alone: each line that must not compile is marked. */
export async function theCompilerKnows(api: Api): Promise<void> {
  const call = createRequests<Routes>(() => Promise.reject(new Error('nothing is sent')));
  const vm: VmView = await call.json('GET /v1/vms/:ref', { params: { ref: 'web' } });
  const operation: Operation = await call.begin('POST /v1/vms', { body: { name: vm.name }, attach: true });
  for await (const event of await call.lines('GET /v1/operations/:id/events', { params: { id: operation.id } })) event.seq.toFixed();
  // @ts-expect-error no such route
  await call.json('GET /v1/machines');
  // @ts-expect-error no VM is named
  await call.json('GET /v1/vms/:ref');
  // @ts-expect-error it is streamed
  await call.json('GET /v1/vms/:ref/logs', { params: { ref: 'web' } });
  // @ts-expect-error no such log
  await call.bytes('GET /v1/vms/:ref/logs', { params: { ref: 'web' }, query: { kind: 'audit' } });
  // @ts-expect-error the path is missing
  await call.json('GET /v1/vms/:ref/stat', { params: { ref: 'web' } });
  // @ts-expect-error memoryMib is a number
  await call.begin('POST /v1/vms', { body: { memoryMib: '512' } });
  // @ts-expect-error it answers at once, and nothing could be tied to it
  await call.json('POST /v1/images/register', { body: { name: 'a', rootfsPath: '/a' }, attach: true });
  // @ts-expect-error a VM has no such member
  assert.ok(vm.adress);
  await api.beginVm('web', 'stop', { graceMs: 1 });
  // @ts-expect-error a stop sends no signal
  await api.beginVm('web', 'stop', { signal: 'SIGINT' });
  // @ts-expect-error a delete takes nothing
  await api.beginVm('web', 'delete', { graceMs: 1 });
  const nothing: VmVerbBody['delete'] = undefined;
  await api.beginVm('web', 'delete', nothing);
}

test('every function of the client sends one request to a route that is served (1.1)', async () => {
  const sent: string[] = [];
  const api = createApi((request) => {
    sent.push(`${request.method} ${request.path}`);
    return Promise.reject(new Error('nothing answers'));
  });
  await api.createVm({ name: 'web' }, true).catch(() => undefined);
  await api.removeForward('web', { protocol: 'tcp', hostAddress: '127.0.0.1', hostPort: 80 }).catch(() => undefined);
  await api.waitVm('web', 'ssh', undefined).catch(() => undefined);
  assert.deepEqual(sent, [
    'POST /v1/vms',
    'DELETE /v1/vms/web/forwards?protocol=tcp&hostAddress=127.0.0.1&hostPort=80',
    'GET /v1/vms/web/wait?for=ssh',
  ]);
});
