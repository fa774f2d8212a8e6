// Makes the shell script that runs inside the lab, in terms of tools/lab/image/run-job.
import { globSync, statSync } from 'node:fs';
import { basename, join, relative, resolve } from 'node:path';

/** A script, its environment, and programs from outside the checkout, by their names in the lab. */
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
/** Variables that name programs outside the checkout and the bundle. */
const PROGRAM_NAMES = ['BANGER_FIRECRACKER', 'BANGER_JAILER'];
/** A guest that takes 5 s on an ordinary machine takes 20 to 60 s in the lab. */
const PACE = '6';
/** Variables that are passed on to tests in the lab. */
const SETTINGS = ['LAB_CYCLES', 'LAB_E2E_FILES', 'LAB_E2E_HYPERVISORS'];
const NODE_TEST = [
  ...['node_modules/.bin/node', '--no-function-context-cells', '--test', '--test-concurrency=1', '--test-timeout=600000'],
  ...['--test-reporter=spec', '--test-reporter-destination=stdout', '--test-reporter=./tools/lab/contract-reporter.ts'],
];

/**
 * @returns the job of the request; BANGER_FIRECRACKER and BANGER_JAILER name the copied programs inside, LAB_… variables keep their values
 */
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

/** @returns test files relative to the checkout: all of the lab, or those that `paths` name, with everything below named folders */
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
