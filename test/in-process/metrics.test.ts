// `GET /metrics` of the socket, as Prometheus reads it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { created, daemonFor, done } from '../support/daemon/test-daemon.ts';

test("metrics describe VMs, operations and the daemon itself in Prometheus' format (1.1)", async (t) => {
  const { api, server } = await daemonFor(t);
  const web = await created(api, 'web', { vcpuCount: 3, memoryMib: 512 });
  await created(api, 'off', { start: false });
  await done(api, api.beginVm('off', 'delete'));
  const reply = await server.inject({ method: 'GET', url: '/metrics' });
  assert.equal(reply.statusCode, 200);
  assert.match(String(reply.headers['content-type']), /^text\/plain; version=0\.0\.4/);
  const lines = new Set(reply.body.split('\n'));
  for (const line of [
    '# TYPE banger_vms gauge',
    'banger_vms{state="running"} 1',
    'banger_vms{state="stopped"} 0',
    '# TYPE banger_operations_total counter',
    'banger_operations_total{verb="vm.create",state="done"} 2',
    'banger_operations_total{verb="vm.delete",state="done"} 1',
    'banger_reserved_vcpus 3',
    `banger_vm_resident_bytes{vm="web",id="${web.id}"} ${64 * 1024 ** 2}`,
    'banger_build_info{version="0.0.0-dev",build="dev"} 1',
  ]) {
    assert.ok(lines.has(line), `${line} is missing in:\n${reply.body}`);
  }
  assert.match(reply.body, /^bangerd_resident_memory_bytes \d+$/m);
});

test('metrics without any VM are complete, and can be read repeatedly (1.1)', async (t) => {
  const { server } = await daemonFor(t);
  for (let round = 0; round < 3; round++) {
    const { body, statusCode } = await server.inject({ method: 'GET', url: '/metrics' });
    assert.equal(statusCode, 200);
    assert.match(body, /^banger_vms\{state="running"\} 0$/m);
  }
});
