import { BangerError, ERROR_CODES, SCHEMA_REMEDY } from '../../model/errors.ts';
import { safeLine, safeText, toJson } from '../../lib/terminal-text.ts';
import type { Cli } from '../cli.ts';
import { isSet } from '../../lib/is-set.ts';
import { paint } from './text.ts';
import { messageOf } from '../../lib/message-of.ts';

/** @returns the program's exit status for this error (`banger help exit-codes`) */
export function exitCodeOf(error: unknown): number {
  return error instanceof BangerError ? ERROR_CODES[error.code].exit : 1;
}

/**
 * Renders an error in the form of all errors: message, remedy, log file.
 * @param debug adds the stack
 */
export function errorLines(cli: Cli, error: unknown, debug: boolean): string[] {
  const head = paint(cli.stderr, 'red', 'banger:');
  if (!(error instanceof BangerError)) {
    const message = messageOf(error);
    return [`${head} ${safeLine(message)}`, ...(debug ? stackOf(error) : ['  try: the same command with --debug'])];
  }
  const remedy = error.remedy === SCHEMA_REMEDY ? cli.helpCommand : error.remedy;
  const tail = error.details?.['serialTail'];
  return [
    `${head} ${safeLine(error.message)}`,
    ...(Array.isArray(tail) ? tail.map((line) => `  | ${safeLine(String(line))}`) : []),
    ...error.undoErrors.map((undo) => `  rollback: ${safeLine(undo.message)}`),
    ...(remedy === undefined ? [] : [`  try: ${safeLine(remedy)}`]),
    ...(error.logPath === undefined ? [] : [`  log: ${safeLine(error.logPath)}`]),
    ...(debug ? [`  code: ${error.code} ${toJson(error.details ?? {})}`, ...stackOf(error)] : []),
  ];
}

function stackOf(error: unknown): string[] {
  if (!(error instanceof Error)) return [];
  const cause = error.cause instanceof Error ? [`  caused by: ${safeText(error.cause.stack ?? error.cause.message)}`] : [];
  return [safeText(error.stack ?? ''), ...cause];
}

/** Writes the error to stderr. */
export function reportError(cli: Cli, error: unknown): void {
  for (const line of errorLines(cli, error, isSet(cli.env['BANGER_DEBUG']))) cli.note(line);
}

/** @returns `banger help exit-codes` */
export function exitCodesHelp(): string[] {
  const byExit = new Map<number, string[]>();
  for (const [code, { exit }] of Object.entries(ERROR_CODES)) byExit.set(exit, [...(byExit.get(exit) ?? []), code]);
  const meaning: Record<number, string> = {
    1: 'failure',
    2: 'the command line or a value in it is wrong; banger did nothing',
    3: 'not found, or ambiguous; doctor: a check fails',
    75: 'bangerd: another daemon runs already',
    124: 'timeout',
    126: 'vm exec: the command cannot be executed in the guest',
    127: 'vm exec: no such command in the guest',
    130: 'cancelled (Ctrl-C) and rolled back',
  };
  const known = [...byExit.entries()].toSorted(([a], [b]) => a - b);
  return [
    'Exit codes of banger:',
    '  0    success',
    ...known.map(([exit, codes]) => `  ${String(exit).padEnd(4)} ${meaning[exit] ?? ''}\n       ${codes.join(' ')}`),
    '  125  vm exec, vm ssh: banger itself failed before or while the command ran',
    '  else vm exec, vm ssh: the status of the command in the guest (128+n: ended by signal n)',
  ];
}
