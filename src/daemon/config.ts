import { readFileSync } from 'node:fs';
import { parse, TomlError } from 'smol-toml';
import { z } from 'zod';
import { parseDuration } from '../lib/duration.ts';
import { nearest } from '../lib/nearest.ts';
import { PlaceProblem, refuseForeignFile } from '../lib/own-place.ts';
import { BangerError } from '../model/errors.ts';
import { requirementOf } from './input.ts';
import { defaultSchemas } from './setting-defaults.ts';
import { sizeSchema } from './size-schema.ts';
import { messageOf } from '../lib/message-of.ts';

/** It becomes the value of an environment variable, here and in guests. */
const wordOf = (max: number) =>
  z
    .string()
    .max(max)
    .regex(/^\P{Cc}*$/u, 'must be one line');
const MIB = 1024 ** 2;
/** Milliseconds; null for "off". */
const durationOrOff = z
  .union([z.string(), z.number()])
  .transform((value) => (value === 'off' ? null : parseDuration(String(value))))
  .pipe(
    z
      .number({ error: 'not a duration such as "90m" or "12h", nor "off"' })
      .min(1000, 'must be at least 1s, or "off"')
      .max(366 * 86_400_000, 'must be at most 366d')
      .nullable(),
  );

/** The drivers that config.toml may name, from the list in compose/registry.ts; `auto` is allowed besides. */
export type DriverNames = { hypervisors: readonly string[]; networks: readonly string[]; storages: readonly string[] };

const driverSchema = (names: readonly string[]) => z.enum(['auto', ...names]).default('auto');

const configSchemaOf = (drivers: DriverNames) =>
  z.strictObject({
    hypervisor: driverSchema(drivers.hypervisors),
    accelerator: z.enum(['auto', 'kvm', 'tcg']).default('auto'),
    bundle: z.string().startsWith('/').optional(),
    log_level: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
    stop_grace_seconds: z.number().int().min(0).max(3600).default(30),
    boot_timeout_seconds: z.number().int().min(5).max(3600).default(180),
    on_host_shutdown: z.enum(['leave', 'stop', 'suspend']).default('leave'),
    host_shutdown_seconds: z.number().int().min(10).max(3600).default(80),
    auto_stop_stale_after: durationOrOff.default(null),
    reserved_space: sizeSchema(1, 0, 2 ** 50).default(512 * MIB),
    defaults: z
      .strictObject({
        image: z.string().default('default'),
        ...defaultSchemas(),
      })
      .prefault({}),
    network: z.strictObject({ mode: driverSchema(drivers.networks), share: z.enum(['me', 'everyone']).default('me') }).prefault({}),
    storage: z.strictObject({ driver: driverSchema(drivers.storages) }).prefault({}),
    firecracker: z.strictObject({ path: z.string().startsWith('/').optional() }).prefault({}),
    provision: z
      .strictObject({
        npm_registry: z.url({ protocol: /^https?$/ }).optional(),
        git_mirror: z.url({ protocol: /^(https?|file|ssh|git)$/ }).default('https://github.com'),
      })
      .prefault({}),
    void: z
      .strictObject({
        mirror: z.url({ protocol: /^(https?|file)$/ }).default('https://repo-default.voidlinux.org/current'),
        keys: z.string().startsWith('/').optional(),
      })
      .prefault({}),
    trust: z
      .strictObject({
        ca_file: z.string().startsWith('/').optional(),
        http_proxy: wordOf(4096).optional(),
        https_proxy: wordOf(4096).optional(),
        no_proxy: wordOf(16_384).optional(),
      })
      .prefault({}),
    templates: z
      .strictObject({
        enabled: z.boolean().default(true),
        budget: sizeSchema(1, 0, 2 ** 50).default(4 * 1024 * MIB),
        pool: z.number().int().min(0).max(16).default(1),
      })
      .prefault({}),
    helper: z.strictObject({ socket: z.string().startsWith('/').default('/run/banger/helper.sock') }).prefault({}),
    dns: z
      .strictObject({
        address: z.union([z.ipv4(), z.ipv6()]).default('127.0.0.1'),
        port: z.number().int().min(1).max(65_535).default(42_069),
        enabled: z.boolean().default(true),
      })
      .prefault({}),
    http: z
      .strictObject({
        enabled: z.boolean().default(true),
        address: z.ipv4().startsWith('127.', 'must be on loopback: everyone who reaches it reaches the VMs').default('127.0.0.1'),
        port: z.number().int().min(1).max(65_535).default(42_080),
        wake: z.boolean().default(false),
      })
      .prefault({}),
  });

/** Every setting, resolved; sizes in bytes. */
export type Config = z.output<ReturnType<typeof configSchemaOf>>;

/** Keys whose variables do not follow the rule, so that they are shorter to type. */
const ENVIRONMENT_NAMES: Readonly<Record<string, string>> = { 'firecracker.path': 'BANGER_FIRECRACKER' };

/** Old keys and their present names; they still work, with a warning. */
export const DEPRECATED_KEYS: Readonly<Record<string, string>> = {
  vmm: 'hypervisor',
  'defaults.cpus': 'defaults.vcpu',
  'defaults.root_size': 'defaults.system_overlay_size',
};

export type LoadedConfig = { config: Config; warnings: string[] };

/**
 * Reads config.toml (which may be missing), then lets the environment override single keys: `network.mode` is BANGER_NETWORK_MODE.
 * @param drivers the allowed names
 * @throws CONFIG_INVALID with file, line and key
 */
export function loadConfig(path: string, env: Readonly<Record<string, string | undefined>>, drivers: DriverNames): LoadedConfig {
  const schema = configSchemaOf(drivers);
  const text = readOptional(path);
  const warnings: string[] = [];
  const tree = parseToml(path, text);
  for (const [oldKey, newKey] of Object.entries(DEPRECATED_KEYS)) {
    const value = takeKey(tree, oldKey);
    if (value === undefined) continue;
    warnings.push(`${path}: ${oldKey} is now called ${newKey}`);
    if (peekKey(tree, newKey) === undefined) setKey(tree, newKey, value);
  }
  for (const key of configKeys()) {
    const value = env[environmentName(key)];
    if (value !== undefined && value !== '') setKey(tree, key, fromEnvironment(value));
  }
  const result = schema.safeParse(tree, { error: requirementOf });
  if (result.success) return { config: result.data, warnings };
  throw explain(path, text, result.error, env);
}

/** @returns `BANGER_` and the key in capitals, with a few exceptions */
export function environmentName(key: string): string {
  return ENVIRONMENT_NAMES[key] ?? `BANGER_${key.replaceAll('.', '_').toUpperCase()}`;
}

/** @returns every key, dotted. */
export function configKeys(): string[] {
  const { shape } = configSchemaOf({ hypervisors: [], networks: [], storages: [] });
  return Object.entries(shape).flatMap(([key, schema]) => {
    const inner = schema instanceof z.ZodPrefault ? schema.unwrap() : undefined;
    return inner instanceof z.ZodObject ? Object.keys(inner.shape).map((name) => `${key}.${name}`) : [key];
  });
}

function readOptional(path: string): string {
  try {
    // The file names programs that this user will run.
    refuseForeignFile(path);
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof PlaceProblem) throw new BangerError('CONFIG_INVALID', error.message, { remedy: error.remedy, cause: error });
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw new BangerError('CONFIG_INVALID', `cannot read ${path}: ${messageOf(error)}`);
  }
}

type Tree = { [key: string]: unknown };

function parseToml(path: string, text: string): Tree {
  try {
    return parse(text.replace(/^\uFEFF/, ''));
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const [reason = ''] = error.message.split('\n');
    throw new BangerError('CONFIG_INVALID', `${path}:${error.line}: ${reason}`, { details: { path, line: error.line } });
  }
}

function branchOf(tree: Tree, key: string): { branch: Tree; leaf: string } | undefined {
  const parts = key.split('.');
  const leaf = parts.pop() ?? '';
  let branch = tree;
  for (const part of parts) {
    const next = branch[part];
    if (typeof next !== 'object' || next === null) return undefined;
    branch = next as Tree;
  }
  return { branch, leaf };
}

function peekKey(tree: Tree, key: string): unknown {
  const found = branchOf(tree, key);
  return found?.branch[found.leaf];
}

function takeKey(tree: Tree, key: string): unknown {
  const found = branchOf(tree, key);
  const value = found?.branch[found.leaf];
  if (found !== undefined) delete found.branch[found.leaf];
  return value;
}

function setKey(tree: Tree, key: string, value: unknown): void {
  const [first = '', second] = key.split('.');
  if (second === undefined) tree[first] = value;
  else tree[first] = { ...(tree[first] as Tree | undefined), [second]: value };
}

function fromEnvironment(value: string): unknown {
  if (value === 'true' || value === 'false') return value === 'true';
  return /^-?\d+$/.test(value) ? Number(value) : value;
}

function explain(path: string, text: string, error: z.ZodError, env: Readonly<Record<string, string | undefined>>): BangerError {
  const issue = error.issues[0];
  const unknown = issue?.code === 'unrecognized_keys' ? issue.keys[0] : undefined;
  const key = [...(issue?.path ?? []), ...(unknown === undefined ? [] : [unknown])].join('.');
  const reason = unknown === undefined ? (issue?.message ?? 'is not valid') : `unknown key${hintOf(key)}`;
  const fromEnv = env[environmentName(key)];
  if (fromEnv !== undefined && unknown === undefined) {
    const name = environmentName(key);
    return new BangerError('CONFIG_INVALID', `${name}=${fromEnv}: ${reason}`, { remedy: `correct or unset ${name}`, details: { key } });
  }
  const line = lineOf(text, key);
  return new BangerError('CONFIG_INVALID', `${path}:${line}: ${key}: ${reason}`, {
    remedy: `edit line ${line} of ${path}`,
    details: { path, line, key },
  });
}

/** @returns the key that a mistyped key probably means: a whole key, or the table in which it stands */
function hintOf(key: string): string {
  const known = configKeys();
  const near = nearest(key, [...known, ...new Set(known.map((one) => one.replace(/\..*/, '')))]);
  return near === undefined ? '' : `; did you mean ${near}?`;
}

/** @returns the line that sets `key`, counted from 1, in a file that smol-toml has accepted */
function lineOf(text: string, key: string): number {
  const parts = key.split('.');
  const leaf = parts.at(-1) ?? '';
  const table = parts.slice(0, -1).join('.');
  let present = '';
  const lines = text.split('\n');
  for (const [index, line] of lines.entries()) {
    const header = /^\s*\[([^\]]+)\]/.exec(line);
    if (header !== null) present = (header[1] ?? '').replaceAll(/["'\s]/g, '');
    if (header !== null && present === key) return index + 1;
    const name = /^\s*["']?([A-Za-z0-9_.-]+)["']?\s*=/.exec(line)?.[1];
    if (name !== undefined && (name === key || (present === table && name === leaf))) return index + 1;
  }
  return 1;
}
