import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { BangerError } from '../model/errors.ts';
import { configKeys, environmentName, loadConfig } from './config.ts';

const directory = mkdtempSync(join(tmpdir(), 'banger-config-'));
/** Somebody else of this host. */
const STRANGER = 54_321;
const DRIVER_NAMES = { hypervisors: ['qemu'], networks: ['private', 'user'], storages: ['copy'] };
const path = `${directory}/config.toml`;
after(() => rmSync(directory, { recursive: true }));

function load(text: string, env: Record<string, string> = {}) {
  writeFileSync(path, text);
  return loadConfig(path, env, DRIVER_NAMES);
}

describe('config.toml', () => {
  test('need not exist: every key has a default (2.2)', () => {
    const { config } = loadConfig(`${directory}/none.toml`, {}, DRIVER_NAMES);
    assert.equal(config.defaults.memory, 1024 ** 3);
    assert.equal(config.network.mode, 'auto');
  });

  test('reads sizes with units; a bare memory counts MiB (2.2)', () => {
    assert.equal(load('[defaults]\nmemory = 512\ndisk_size = "20GiB"').config.defaults.memory, 512 * 1024 ** 2);
    assert.equal(load('[defaults]\ndisk_size = "20GiB"').config.defaults.disk_size, 20 * 1024 ** 3);
  });

  const bad: [title: string, text: string, expected: RegExp][] = [
    ['an unknown key', '# a comment\nhypervisor = "qemu"\ncolour = "red"\n', /config\.toml:3: colour: unknown key/],
    ['an unknown key in a table', '[network]\nmode = "private"\nmod = "x"\n', /config\.toml:3: network\.mod: unknown key/],
    ['a mistyped key', '[defaults]\nmemroy = 1\n', /defaults\.memroy: unknown key; did you mean defaults\.memory\?$/],
    ['a mistyped table', '[defualts]\nmemory = 1\n', /:1: defualts: unknown key; did you mean defaults\?$/],
    ['a mistyped key of no table', 'hypervisr = "qemu"\n', /hypervisr: unknown key; did you mean hypervisor\?$/],
    ['an unknown table', '[nonsense]\na = 1\n', /config\.toml:1: nonsense: unknown key/],
    ['a bad value', '[defaults]\nvcpu = 0\n', /config\.toml:2: defaults\.vcpu: must be a whole number from 1 to 32$/],
    ['a bad size', '[defaults]\nmemory = "12q"\n', /config\.toml:2: defaults\.memory: not a size/],
    ['a wrong type', 'log_level = 3\n', /config\.toml:1: log_level: must be one of debug, info, warn, error$/],
    ['a size that is too small', '[defaults]\nmemory = 1\n', /defaults\.memory: must be at least 128 MiB$/],
    ['broken TOML', 'a = 1\nb = = 2\n', /config\.toml:2: /],
    ['a duplicate key', 'hypervisor = "qemu"\nhypervisor = "auto"\n', /config\.toml:\d: /],
  ];
  for (const [title, text, expected] of bad) {
    test(`names file, line and key of ${title} (2.2)`, () => {
      assert.throws(
        () => load(text),
        (error) => error instanceof BangerError && error.code === 'CONFIG_INVALID' && expected.test(error.message),
      );
    });
  }

  test('reads how long an unused VM may run; by default for ever (3.9)', () => {
    assert.equal(load('').config.auto_stop_stale_after, null);
    assert.equal(load('auto_stop_stale_after = "off"').config.auto_stop_stale_after, null);
    assert.equal(load('auto_stop_stale_after = "1h30m"').config.auto_stop_stale_after, 5_400_000);
    assert.equal(load('auto_stop_stale_after = 90').config.auto_stop_stale_after, 90_000);
    assert.equal(load('', { BANGER_AUTO_STOP_STALE_AFTER: '2h' }).config.auto_stop_stale_after, 7_200_000);
    for (const value of ['"soon"', '0', '"-1h"', '"400d"', 'true']) {
      assert.throws(() => load(`auto_stop_stale_after = ${value}`), /config\.toml:1: auto_stop_stale_after: /, value);
    }
  });

  test('takes an old key with a warning, and the new one wins (2.2)', () => {
    const { config, warnings } = load('vmm = "qemu"\n[defaults]\ncpus = 3\nvcpu = 4\n');
    assert.equal(config.hypervisor, 'qemu');
    assert.equal(config.defaults.vcpu, 4);
    assert.equal(warnings.length, 2);
    assert.match(warnings[0] ?? '', /vmm is now called hypervisor/);
  });

  test('every key can be overridden by the environment (2.2)', () => {
    assert.ok(configKeys().includes('defaults.system_overlay_size'));
    const { config } = load('[network]\nmode = "private"\n', {
      [environmentName('network.mode')]: 'user',
      BANGER_DEFAULTS_MEMORY: '2G',
      BANGER_DEFAULTS_NAT: 'false',
      BANGER_DNS_PORT: '5300',
    });
    assert.deepEqual(
      [config.network.mode, config.defaults.memory, config.defaults.nat, config.dns.port],
      ['user', 2 * 1024 ** 3, false, 5300],
    );
  });

  test('an error about a bad value names the environment variable (2.2)', () => {
    assert.throws(() => load('', { BANGER_DEFAULTS_VCPU: 'many' }), /BANGER_DEFAULTS_VCPU=many/);
  });

  test('is refused where others than the user and root may write it (2.2, 12.8)', (t) => {
    t.after(() => rmSync(path, { force: true }));
    load('');
    chmodSync(path, 0o666);
    assert.throws(() => load(''), { code: 'CONFIG_INVALID', message: /others may write it/, remedy: `chmod go-w ${path}` });
    if (process.getuid?.() !== 0) return;
    chmodSync(path, 0o600);
    chownSync(path, STRANGER, STRANGER);
    assert.throws(() => load('[firecracker]\npath = "/theirs"\n'), { code: 'CONFIG_INVALID', message: /belongs to uid 54321/ });
    chownSync(path, 0, 0);
    chownSync(directory, STRANGER, STRANGER);
    t.after(() => chownSync(directory, 0, 0));
    assert.throws(() => load(''), {
      code: 'CONFIG_INVALID',
      message: /banger-config-\w+ belongs to uid 54321, who may put anything there/,
    });
  });

  test('a byte order mark and CRLF are no trouble (2.2)', () => {
    assert.equal(load('\uFEFFhypervisor = "qemu"\r\n').config.hypervisor, 'qemu');
  });
});
