// Writes the facts about Firecracker's API with which tests compare the driver and the fake: node tools/firecracker-api.ts firecracker.yaml
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readSwagger } from '../test/support/vmm/firecracker/swagger.ts';

const [path] = process.argv.slice(2);
if (path === undefined) {
  console.error('usage: node tools/firecracker-api.ts firecracker.yaml');
  process.exitCode = 2;
} else {
  const facts = readSwagger(readFileSync(path, 'utf8'));
  const table = join(import.meta.dirname, '../test/support/vmm/firecracker/api-facts.json');
  writeFileSync(table, `${JSON.stringify(facts, null, 1)}\n`);
  console.log(`${table}: version ${facts.version}, ${Object.keys(facts.requests).length} requests`);
}
