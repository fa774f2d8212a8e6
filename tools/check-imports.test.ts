import assert from 'node:assert/strict';
import { test } from 'node:test';
import { join } from 'node:path';
import { importsOf } from './imports-of.ts';
import { isTest, readSources } from './source-tree.ts';
import { checkImports } from './check-imports.ts';

const problemsOf = (path: string, text: string): string[] => checkImports([{ path, text }]).problems;

const ALLOWED = [
  ['src/model/vm.ts', "import { parseSize } from '../lib/size.ts';"],
  ['src/drivers/network/private/driver.ts', "import type { Host } from '../../../host/host.ts';"],
  ['src/drivers/network/private/driver.ts', "import type { NetworkDriver } from '../contract.ts';"],
  ['src/drivers/network/private/driver.ts', "import type { Machine } from '../../hypervisor/contract.ts';"],
  ['src/drivers/network/private/deep/rules.ts', "import { x } from '../driver.ts';"],
  ['src/lifecycle/vm/start.ts', "import type { Store } from '../../store/store.ts';"],
  ['src/lifecycle/vm/start.ts', "import type { Hypervisor } from '../../drivers/hypervisor/contract.ts';"],
  ['src/daemon/compose/compose.ts', "import { createQemu } from '../../drivers/hypervisor/qemu/driver.ts';"],
  ['src/daemon/compose/network.ts', "import { createPrivate } from '../../drivers/network/private/driver.ts';"],
  ['src/guest/client.ts', "import type { AgentChannel } from '../drivers/hypervisor/contract.ts';"],
  ['src/daemon/main.ts', "import { compose } from './compose/compose.ts';"],
  ['src/api/schemas.ts', "import { LIMITS } from '../model/limits.ts';"],
  ['src/cli/main.ts', "const http = () => import('node:http');"],
  ['src/cli/cli.ts', "import { reachDaemon } from '../client/daemon-send.ts';"],
  ['src/client/copy-process.ts', "import { spawnPiped } from '../host/spawn.ts';"],
  ['src/setup/machine.ts', "import { run } from '../host/spawn.ts';"],
  ['src/host/spawn.ts', "import { spawn } from 'node:child_process';"],
  ['src/store/database.ts', "import { DatabaseSync } from 'node:sqlite';"],
  ['src/dns/server.test.ts', "import { realHost } from '../host/host.ts'; import { spawn } from 'node:child_process';"],
  ['src/dns/server.ts', "// import { x } from '../store/x.ts';\nconst text = 'import x';"],
] as const;

const FORBIDDEN = [
  ['src/lib/size.ts', "import { x } from '../model/vm.ts';", /lib may import nothing of model/],
  ['src/host/files.ts', "import type { Vm } from '../model/vm.ts';", /host may import nothing of model/],
  ['src/model/vm.ts', "import type { Host } from '../host/host.ts';", /model may import nothing of host/],
  ['src/drivers/network/private/driver.ts', "import { realHost } from '../../../host/host.ts';", /only types of host/],
  ['src/drivers/network/private/driver.ts', "import { type Host } from '../../../host/host.ts';", /only types of host/],
  ['src/drivers/network/private/driver.ts', "import type { X } from '../user/driver.ts';", /nothing of driver/],
  ['src/drivers/network/private/driver.ts', "import { X } from '../../storage/contract.ts';", /only types of contract/],
  ['src/drivers/network/contract.ts', "export type { Host } from '../../host/host.ts';", /nothing of host/],
  ['src/dns/server.ts', "export * from '../store/rows.ts';", /dns may import nothing of store/],
  ['src/lifecycle/vm/start.ts', "import { store } from '../../store/store.ts';", /only types of store/],
  ['src/lifecycle/vm/start.ts', "type S = import('../../host/host.ts').Host;", /nothing of host/],
  ['src/guest/client.ts', "import { x } from '../drivers/hypervisor/contract.ts';", /only types of contract/],
  ['src/daemon/server.ts', "import { x } from '../drivers/storage/qcow2/driver.ts';", /nothing of driver/],
  ['src/daemon/compose/compose.ts', "import { x } from '../../cli/main.ts';", /compose may import nothing of cli/],
  ['src/cli/commands/list.ts', "const x = await import('../../store/store.ts');", /cli may import nothing of store/],
  ['src/cli/commands/list.ts', "import { run } from '../../host/spawn.ts';", /cli may import nothing of host/],
  ['src/cli/commands/list.ts', "import { connectOwnSocket } from '../../lib/own-socket.ts';", /the client opens sockets/],
  ['src/client/copy.ts', "import type { Cli } from '../cli/cli.ts';", /client may import nothing of cli/],
  ['src/client/send.ts', "import { run } from '../host/spawn.ts';", /client may import nothing of host/],
  ['src/api/schemas.ts', "import type { Api } from '../client/api.ts';", /api may import nothing of client/],
  ['src/daemon/server.ts', "import { createSend } from '../client/send.ts';", /daemon may import nothing of client/],
  ['src/dns/server.ts', "import { spawn } from 'child_process';", /node:child_process is for src\/host\/spawn.ts alone/],
  ['src/dns/server.ts', "const c = process.getBuiltinModule('node:child_process');", /alone/],
  ['src/dns/server.ts', "const c = require('child_process');", /alone/],
  ['src/lifecycle/rows.ts', "import { DatabaseSync } from 'node:sqlite';", /node:sqlite is for src\/store\/ alone/],
  ['src/dns/server.ts', 'const x = await import(name);', /computed name/],
  ['src/dns/server.ts', "import { x } from '../../tools/build.ts';", /leads out/],
  ['src/stray/file.ts', '', /no import rule knows/],
  ['src/cli/main.ts', "import http from 'node:http';", /loaded when the CLI starts/],
] as const;

for (const [path, text] of ALLOWED) {
  test(`${path} may say: ${text} (9.4)`, () => assert.deepEqual(problemsOf(path, text), []));
}

for (const [path, text, expected] of FORBIDDEN) {
  test(`${path} may not say: ${text} (9.4)`, () => {
    const problems = problemsOf(path, text);
    assert.equal(problems.length, 1, problems.join('\n'));
    assert.match(problems[0] ?? '', expected);
  });
}

test('a module that slows the CLI down is found behind other files, with the way to it', () => {
  const { problems } = checkImports([
    { path: 'src/cli/main.ts', text: "import { a } from './a.ts';\nimport type { B } from './b.ts';" },
    { path: 'src/cli/a.ts', text: "import { c } from '../api/c.ts';" },
    { path: 'src/cli/b.ts', text: "import { z } from 'zod';" },
    { path: 'src/api/c.ts', text: "import { z } from 'zod';" },
  ]);
  assert.deepEqual(problems.length, 1);
  assert.match(problems[0] ?? '', /^src\/api\/c\.ts:1: zod .*src\/cli\/main\.ts → src\/cli\/a\.ts → src\/api\/c\.ts/);
});

test('imports that lead in a circle are found, types included, and no others', () => {
  const circle = [
    { path: 'src/lib/a.ts', text: "import { b } from './b.ts';" },
    { path: 'src/lib/b.ts', text: "import type { C } from './c.ts';" },
    { path: 'src/lib/c.ts', text: "const a = await import('./a.ts');" },
    { path: 'src/lib/d.ts', text: "import { a } from './a.ts';\nimport { b } from './b.ts';" },
  ];
  const { problems } = checkImports(circle);
  assert.equal(problems.length, 1, problems.join('\n'));
  assert.match(problems[0] ?? '', /^src\/lib\/a\.ts:1: .*circle.*: src\/lib\/a\.ts → src\/lib\/b\.ts → src\/lib\/c\.ts;/);
  assert.deepEqual(checkImports(circle.slice(1)).problems, []);
});

test('looking at no file counts as zero files, which fails the check', () => {
  assert.equal(checkImports([]).scanned, 0);
});

test('only `import type` and `export type` are gone at run time', () => {
  const text =
    "import type from './a.ts';\nimport type { B } from './b.ts';\nimport { type C } from './c.ts';\nexport type { D } from './d.ts';";
  assert.deepEqual(
    importsOf('x.ts', text).map(({ specifier, line, typeOnly }) => [specifier, line, typeOnly]),
    [
      ['./a.ts', 1, false],
      ['./b.ts', 2, true],
      ['./c.ts', 3, false],
      ['./d.ts', 4, true],
    ],
  );
});

test('in src/, spawn.ts alone starts processes and the store alone opens the database (9.4)', () => {
  const sources = readSources(join(import.meta.dirname, '..'), ['src'], ['.ts']);
  assert.deepEqual(checkImports(sources).problems, []);
  for (const [module, users] of Object.entries({
    'node:child_process': ['src/host/spawn.ts'],
    'node:sqlite': sources.map(({ path }) => path).filter((path) => path.startsWith('src/store/')),
  })) {
    const importing = sources.filter(
      ({ path, text }) => !isTest(path) && importsOf(path, text).some((fact) => fact.specifier === module && !fact.typeOnly),
    );
    assert.ok(importing.length > 0, module);
    for (const { path } of importing) assert.ok(users.includes(path), `${path} imports ${module}`);
  }
});
