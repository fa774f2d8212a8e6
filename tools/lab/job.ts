// What runs inside the lab, as a shell script in terms of tools/lab/image/run-job.
import { globSync, statSync } from 'node:fs';
import { basename, join, relative, resolve } from 'node:path';

/** A script, its environment, and programs that are not in the checkout, by the name that they get. */
export type LabJob = { script: string; environment: Record<string, string>; programs: Record<string, string> };

export type LabVerb = 'test' | 'shell' | 'command';

export type JobRequest = {
  verb: LabVerb;
  /** Paths of tests; none: all of test/lab. */
  paths: readonly string[];
  /** Environment of the caller. */
  environment: Readonly<Record<string, string | undefined>>;
  /** Absolute path of the checkout. */
  root: string;
};

const TESTS = 'test/lab';
/** Tests below it run as an ordinary user. */
const USER_TESTS = `${TESTS}/user/`;
/** Where the lab has the programs of a job. */
const PROGRAMS_INSIDE = '/srv/banger/.lab/bin';
/** Variables that name programs which are no part of the checkout or the bundle. */
const PROGRAM_NAMES = ['BANGER_FIRECRACKER', 'BANGER_JAILER'];
/** A guest that is there after 5 s on an ordinary machine takes 20 to 60 s in the lab. */
const PACE = '6';
/** Variables that tests of the lab are told things by. */
const SETTINGS = ['LAB_CYCLES', 'LAB_E2E_FILES', 'LAB_E2E_HYPERVISORS'];
const NODE_TEST = [
  ...['node_modules/.bin/node', '--no-function-context-cells', '--test', '--test-concurrency=1', '--test-timeout=600000'],
  ...['--test-reporter=spec', '--test-reporter-destination=stdout', '--test-reporter=./tools/lab/contract-reporter.ts'],
];

/** @returns what the request asks for; BANGER_FIRECRACKER and BANGER_JAILER name the same programs inside, LAB_… say the same. */
export function jobOf({ verb, paths, environment, root }: JobRequest): LabJob {
  const inside: Record<string, string> = { BANGER_LAB: '1', BANGER_BUNDLE: '/srv/bundle', BANGER_TEST_PACE: PACE };
  const programs: Record<string, string> = {};
  for (const name of PROGRAM_NAMES) {
    const path = environment[name];
    if (path === undefined || path === '') continue;
    programs[basename(path)] = resolve(root, path);
    inside[name] = `${PROGRAMS_INSIDE}/${basename(path)}`;
  }
  for (const name of SETTINGS) {
    const value = environment[name];
    if (value !== undefined) inside[name] = value;
  }
  return { script: scriptOf(verb, environment['LAB_COMMAND'] ?? '', () => testFiles(root, paths)), environment: inside, programs };
}

function scriptOf(verb: LabVerb, command: string, listFiles: () => string[]): string {
  if (verb === 'shell') return 'as_root setsid --ctty --wait bash -il </dev/hvc0 >/dev/hvc0 2>&1\n';
  if (verb === 'command') return `as_root bash -c ${quoted(command)}; note $?\n`;
  const files = listFiles();
  const isUsers = (path: string): boolean => path.startsWith(USER_TESTS);
  const run = (user: string, group: readonly string[]): string => {
    const argv = [`as_${user}`, ...NODE_TEST, `--test-reporter-destination=/var/lib/lab/contract-${user}.jsonl`, ...group];
    return group.length === 0 ? '' : `${argv.map(quoted).join(' ')}; end_run $?\n`;
  };
  return (
    run('dev', files.filter(isUsers)) +
    run(
      'root',
      files.filter((path) => !isUsers(path)),
    )
  );
}

/** @returns test files relative to the checkout: all of the lab, or those that `paths` name, folders with all below. */
function testFiles(root: string, paths: readonly string[]): string[] {
  const below = (folder: string): string[] => globSync(`${folder}/**/*.test.ts`, { cwd: root }).toSorted();
  if (paths.length === 0) return below(TESTS);
  return paths.flatMap((word) => {
    const path = relative(root, resolve(root, word));
    return statSync(join(root, path)).isDirectory() ? below(path) : [path];
  });
}

/** @returns the word as a POSIX shell reads it back unchanged. */
export function quoted(word: string): string {
  return /^[\w./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
