// docs/configuration.md says what the schema says.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { configKeys, DEPRECATED_KEYS, environmentName, loadConfig } from './config.ts';

const text = readFileSync(join(import.meta.dirname, '../../docs/configuration.md'), 'utf8');
const rows = [...text.matchAll(/^\| `([a-z_.]+)` \| `([A-Z_]+)` \| (\S+) \| (\S.*) \|$/gm)].map(
  ([, key = '', variable = '', value = '']) => {
    return { key, variable, value };
  },
);
const drivers = { hypervisors: [], networks: [], storages: [] };

test('every key is documented with its variable, and no other (2.2)', () => {
  assert.deepEqual(rows.map(({ key }) => key).toSorted(), configKeys().toSorted());
  for (const { key, variable } of rows) assert.equal(variable, environmentName(key), key);
  for (const [oldKey, newKey] of Object.entries(DEPRECATED_KEYS)) {
    assert.match(text, new RegExp(`\`${oldKey}\` is(?: now)?\\s\`${newKey}\``), oldKey);
  }
});

test('the defaults that are documented are the defaults, and each variable sets its key (2.2)', () => {
  const byDefault = loadConfig('/nonexistent', {}, drivers).config;
  for (const { variable, value } of rows) {
    if (value !== '–') assert.deepEqual(loadConfig('/nonexistent', { [variable]: value }, drivers).config, byDefault, variable);
    // What no key can be is refused under the variable's name, so the variable is really read.
    if (variable.endsWith('IMAGE')) continue;
    assert.throws(() => loadConfig('/nonexistent', { [variable]: 'no\u0000thing' }, drivers), new RegExp(variable), variable);
  }
});
