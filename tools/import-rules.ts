// The rules for imports, with reasons. check-imports.ts enforces them; ARCHITECTURE.md explains them.

/** Parts of src/. A contract zone is a file directly in drivers/KIND, a driver zone a folder below it. */
export type Zone =
  | 'lib'
  | 'model'
  | 'host'
  | 'api'
  | 'contract'
  | 'driver'
  | 'images'
  | 'guest'
  | 'dns'
  | 'http'
  | 'names'
  | 'store'
  | 'context'
  | 'lifecycle'
  | 'bundle'
  | 'capabilities'
  | 'daemon'
  | 'compose'
  | 'client'
  | 'setup'
  | 'cli';

export type ImportRule = {
  /** Zones that may be imported fully; a zone may always import itself. */
  values: readonly Zone[];
  /** Zones of which only types may be imported. */
  types: readonly Zone[];
  because: string;
};

/** The folders of src/ that make up the daemon. */
const DAEMON_FOLDERS = [
  'lib',
  'model',
  'host',
  'api',
  'images',
  'guest',
  'dns',
  'http',
  'names',
  'store',
  'context',
  'lifecycle',
  'capabilities',
  'daemon',
] as const satisfies readonly Zone[];

const EVERYTHING_BUT_CLI: readonly Zone[] = [...DAEMON_FOLDERS, 'contract', 'driver', 'bundle'];

const concern = (name: string): ImportRule => ({
  values: ['model', 'lib'],
  types: ['host'],
  because: `${name} is one concern: it neither remembers (store) nor chooses a driver, and is handed the Host it acts through`,
});

const verbs: ImportRule = {
  values: ['model', 'lib', 'context', 'lifecycle', 'bundle', 'capabilities'],
  types: ['contract', 'images', 'guest', 'names', 'store'],
  because: 'a verb says what happens, not with which tool: it gets host, drivers and store as arguments, so tests can pass others',
};

export const IMPORT_RULES: Readonly<Record<Zone, ImportRule>> = {
  lib: { values: [], types: [], because: 'lib must be usable elsewhere: it knows nothing of VMs' },
  model: { values: ['lib'], types: [], because: 'model is plain values and pure rules: no effect, no clock, no randomness' },
  host: { values: ['lib'], types: [], because: 'host speaks of processes and files, not of VMs' },
  api: { values: ['lib'], types: ['model'], because: 'the contract outlives CLI and daemon, so it depends on neither' },
  contract: {
    values: ['model', 'lib'],
    types: ['contract'],
    because: 'a contract prefers no tool; it may name the types of another contract',
  },
  driver: {
    values: ['contract', 'model', 'lib'],
    types: ['host'],
    because: 'a driver neither remembers nor decides: it knows its own contract, gets the Host as an argument, and knows no sibling',
  },
  images: concern('images'),
  guest: {
    ...concern('guest'),
    types: ['host', 'contract'],
    because: 'guest uses the channels that a hypervisor opens, and knows nothing else of it',
  },
  dns: concern('dns'),
  http: concern('http'),
  names: {
    values: ['dns', 'http', 'model', 'lib'],
    types: ['host'],
    because: 'names are published by DNS and HTTP together; the caller says which VM a name belongs to, and who may ask',
  },
  store: { values: ['model', 'lib'], types: [], because: 'the store keeps rows; it decides nothing and touches nothing else' },
  context: {
    ...verbs,
    values: ['model', 'lib'],
    because: 'what steps share lies below the code that makes steps: capabilities and verbs depend on it, and not the other way round',
  },
  lifecycle: verbs,
  bundle: {
    values: [...verbs.values, 'images'],
    types: [...verbs.types, 'host'],
    because: 'bundle work makes, finds and shares bundles: it passes its Host on to the code that does so',
  },
  capabilities: {
    ...verbs,
    values: ['model', 'lib', 'context'],
    because: 'a capability owns one feature of VMs, and knows no verb: verbs walk the list of capabilities',
  },
  daemon: {
    values: ['api', 'context', 'lifecycle', 'bundle', 'capabilities', 'model', 'lib'],
    types: ['contract', 'images', 'guest', 'http', 'names', 'store', 'host'],
    because: 'only compose/ names concrete drivers and tools; the rest of the daemon gets them as arguments',
  },
  compose: { values: EVERYTHING_BUT_CLI, types: [], because: 'the daemon must not depend on the CLI' },
  client: {
    values: ['api', 'lib'],
    types: ['model'],
    because: 'the client must also work from another machine: everything it knows comes over the API',
  },
  setup: { values: ['lib', 'host'], types: [], because: 'setup prepares this machine as root, before any daemon could' },
  cli: {
    values: ['client', 'api', 'lib'],
    types: ['model'],
    because: 'the CLI is text alone: the client talks to daemons and starts programs',
  },
};

/** A named exception to a rule. `from` is a file, or a folder if it ends in a slash; so is `to`. */
export type ImportException = { from: string; to: string; because: string };

export const IMPORT_EXCEPTIONS: readonly ImportException[] = [
  { from: 'src/api/', to: 'src/model/errors.ts', because: 'errors cross the socket by code; the table of codes is one' },
  { from: 'src/api/', to: 'src/model/limits.ts', because: 'schemas and rules must refuse the same values' },
  { from: 'src/api/', to: 'src/model/settings/', because: 'a setting of VMs is declared once; its schemas follow' },
  { from: 'src/api/', to: 'src/model/vm-state.ts', because: 'the states of the wire are the states of the table' },
  { from: 'src/daemon/main.ts', to: 'src/daemon/compose/', because: 'the daemon begins by putting itself together' },
  { from: 'src/client/', to: 'src/model/errors.ts', because: 'errors cross the socket by code; the table of codes is one' },
  { from: 'src/client/', to: 'src/model/limits.ts', because: 'bad values are refused before anything is sent' },
  { from: 'src/client/daemon-process.ts', to: 'src/host/', because: 'the client starts the daemon of this machine' },
  { from: 'src/client/ssh-process.ts', to: 'src/host/', because: 'vm ssh runs the ssh of this machine on the terminal' },
  { from: 'src/client/copy-process.ts', to: 'src/host/', because: 'a copy reads and writes files of this machine with a program in C' },
  { from: 'src/client/remote-process.ts', to: 'src/host/', because: 'the client reaches another machine by the ssh of this one' },
  { from: 'src/setup/', to: 'src/model/errors.ts', because: 'errors of setup have the form of all errors' },
  { from: 'src/cli/', to: 'src/setup/', because: 'users ask for setup on the command line' },
  { from: 'src/cli/', to: 'src/model/errors.ts', because: 'exit codes are part of the table of errors' },
  { from: 'src/cli/', to: 'src/model/limits.ts', because: 'bad values are refused before anything is sent' },
  { from: 'src/cli/', to: 'src/model/settings/', because: 'a setting of VMs is declared once; flags and tables follow' },
  { from: 'src/cli/', to: 'src/model/name.ts', because: 'bad names are refused before anything is sent' },
  { from: 'src/cli/', to: 'src/model/reference.ts', because: 'a name means the same VM on both sides of the socket' },
  { from: 'src/setup/', to: 'src/model/root-helper.ts', because: 'the helper looks for its files where setup puts them' },
  {
    from: 'src/http/front-process.ts',
    to: 'src/host/peer-uid.ts',
    because: 'it is a process of its own without a Host, and must know which user a connection belongs to',
  },
];

/** Files that may not be imported although the rule of their folder allows it. */
export const IMPORT_BANS: readonly ImportException[] = [
  { from: 'src/cli/', to: 'src/lib/own-socket.ts', because: 'the CLI is text alone: the client opens sockets' },
];

/** Modules that only some files may import. */
export type ReservedModule = { module: string; onlyIn: string; because: string };

export const RESERVED_MODULES: readonly ReservedModule[] = [
  {
    module: 'node:child_process',
    onlyIn: 'src/host/spawn.ts',
    because: 'one module starts host processes, so one place bounds them',
  },
  { module: 'node:sqlite', onlyIn: 'src/store/', because: 'only the store speaks to the database' },
];

/** Modules that must not be loaded when the CLI starts, because they delay its first output. A dynamic import() is fine. */
export const NOT_AT_CLI_START: readonly { module: string; because: string }[] = [
  { module: 'node:http', because: 'twice the start-up time; the client of the API speaks over node:net' },
  { module: 'node:https', because: 'it loads the whole of TLS' },
  { module: 'node:http2', because: 'it loads the whole of TLS' },
  { module: 'node:tls', because: 'about 40 ms before the first byte' },
  { module: 'undici', because: 'about 100 ms before the first byte' },
  { module: 'zod', because: 'about 10 ms before the first byte; import the types of the schemas instead' },
  { module: 'fastify', because: 'it belongs to the daemon' },
  { module: 'pino', because: 'it belongs to the daemon' },
  { module: 'node:sqlite', because: 'it belongs to the daemon' },
];

/** The entry point of the CLI. */
export const CLI_ENTRY = 'src/cli/main.ts';

const FOLDER_ZONES: readonly Zone[] = [...DAEMON_FOLDERS, 'client', 'setup', 'cli'];

/** A zone, and for contracts and drivers which one: a driver of another kind or name is another place. */
export type Place = { zone: Zone; part: string };

/** @returns the place of a file of src/, or undefined if no rule knows its folder */
export function placeOf(path: string): Place | undefined {
  if (path.startsWith('src/daemon/compose/')) return { zone: 'compose', part: 'daemon' };
  if (path.startsWith('src/lifecycle/bundle/')) return { zone: 'bundle', part: 'bundle' };
  const driver = /^src\/drivers\/([^/]+)\/(?:([^/]+)\/)?[^/]+$/.exec(path);
  if (driver !== null) {
    const [, kind = '', name] = driver;
    return name === undefined ? { zone: 'contract', part: kind } : { zone: 'driver', part: `${kind}/${name}` };
  }
  const nested = /^src\/drivers\/([^/]+\/[^/]+)\//.exec(path);
  if (nested !== null) return { zone: 'driver', part: nested[1] ?? '' };
  const folder = /^src\/([^/]+)\//.exec(path)?.[1];
  const zone = FOLDER_ZONES.find((name) => name === folder);
  return zone === undefined ? undefined : { zone, part: zone };
}
