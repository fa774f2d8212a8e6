// Output formats of all commands that list or show, so that each takes the same switches with the same meaning.
import type { Command } from '@commander-js/extra-typings';
import { BangerError } from '../model/errors.ts';
import { safeLine, safeText, toJson } from '../lib/terminal-text.ts';
import type { Cli } from './cli.ts';
import { newOption } from './command.ts';
import { type Column, renderFacts, renderTable, withWide } from './render/table.ts';

export const OUTPUT_FORMATS = ['table', 'wide', 'json', 'yaml', 'name'] as const;
export type OutputFormat = (typeof OUTPUT_FORMATS)[number];

/** Switches of commands that show one thing. */
export type ShowFlags = { output: OutputFormat; quiet?: true | undefined; format?: string | undefined };
/** Switches of commands that list. */
export type ListFlags = ShowFlags & { headers: boolean };

type Options = Record<string, unknown>;

/** Adds `-o`, `-q` and `--format` to a command that shows one thing. @param names what `-q` prints, for its help */
export function showing<Args extends unknown[], Opts extends Options>(command: Command<Args, Opts>, names = 'the name only') {
  const quiet = newOption('-q, --quiet', `${names}, the same as -o name`).conflicts('output');
  const format = newOption('--format <template>', "a line per item from a template such as '{{.name}} {{json .}}'; members as in -o json");
  const output = newOption('-o, --output <format>', 'output format; wide has more columns').choices(OUTPUT_FORMATS).default('table');
  command
    .addOption(output)
    .addOption(quiet)
    .addOption(format.conflicts(['output', 'quiet']));
  return command as unknown as Command<Args, Opts & ShowFlags>;
}

/** The same for a command that lists, with `--no-headers` in addition. */
export function listing<Args extends unknown[], Opts extends Options>(command: Command<Args, Opts>, names = 'names only, one per line') {
  showing(command, names).option('--no-headers', 'hide the header line');
  return command as unknown as Command<Args, Opts & ListFlags>;
}

export type ListView<Row> =
  | { columns: readonly Column<Row>[]; /** More of them, for `-o wide`. */ wide?: readonly Column<Row>[]; name: (row: Row) => string }
  | { lines: () => readonly string[]; names: () => readonly string[] };

export type Facts = readonly (readonly [string, string | null | undefined])[];

/** Facts from which lines are made, or the lines themselves. */
export type ShowView<T> = { name: (value: T) => string } & ({ facts: (value: T) => Facts } | { lines: (value: T) => readonly string[] });

/** Whether values follow each other: then JSON is one line per value, and YAML one document (NDJSON, a YAML stream). */
export type Streaming = { isStream: boolean };

/** @returns rows in the chosen format; JSON and YAML are one list, in the API's own shape */
export async function listLines<Row>(
  cli: Cli,
  flags: ShowFlags & { headers?: boolean },
  rows: readonly Row[],
  view: ListView<Row>,
  streaming: Streaming = { isStream: false },
  onLeftOut?: (titles: readonly string[]) => void,
): Promise<readonly string[]> {
  const data = await dataLines(flags, rows, rows, streaming);
  if (data !== undefined) return data;
  const format = formatOf(flags);
  if (format === 'name') return 'names' in view ? view.names() : rows.map((row) => safeLine(view.name(row)));
  if ('lines' in view) return view.lines();
  const columns = format === 'wide' ? withWide(view.columns, view.wide ?? []) : view.columns;
  return renderTable(columns, rows, { headers: flags.headers, width: widthOf(cli), ...(onLeftOut && { onLeftOut }) });
}

/** Prints rows in the chosen format. */
export async function printList<Row>(cli: Cli, flags: ListFlags, rows: readonly Row[], view: ListView<Row>): Promise<void> {
  let left: readonly string[] = [];
  for (const line of await listLines(cli, flags, rows, view, undefined, (titles) => (left = titles))) cli.print(line);
  // A user who asks for more must learn that there is more.
  if (left.length > 0 && formatOf(flags) === 'wide') cli.note(`too narrow here for ${left.join(', ')}; a pipe gets them all`);
}

/** @returns one value in the chosen format */
export async function showLines<T>(
  flags: ShowFlags,
  value: T,
  view: ShowView<T>,
  streaming: Streaming = { isStream: false },
): Promise<readonly string[]> {
  const data = await dataLines(flags, value, [value], streaming);
  if (data !== undefined) return data;
  if (formatOf(flags) === 'name') return [safeLine(view.name(value))].filter((name) => name !== '');
  return 'facts' in view ? renderFacts(view.facts(value)) : view.lines(value);
}

/** Prints one value in the chosen format. */
export async function printOne<T>(cli: Cli, flags: ShowFlags, value: T, view: ShowView<T>): Promise<void> {
  for (const line of await showLines(flags, value, view)) cli.print(line);
}

/** Prints several values one after the other: for people with an empty line between them, in YAML as documents. */
export async function printEach<T>(cli: Cli, flags: ShowFlags, values: readonly T[], view: ShowView<T>): Promise<void> {
  for (const [at, value] of values.entries()) {
    if (at > 0 && formatOf(flags) === 'yaml') cli.print('---');
    else if (at > 0 && !isData(flags)) cli.print('');
    await printOne(cli, flags, value, view);
  }
}

/** @returns the chosen format; as in docker, --format also takes its name */
function formatOf({ quiet, format, output }: ShowFlags): OutputFormat {
  return quiet === true ? 'name' : (OUTPUT_FORMATS.find((name) => name === format) ?? output);
}

/** @returns the template in --format, if it is one */
function templateOf({ format }: ShowFlags): string | undefined {
  return OUTPUT_FORMATS.some((name) => name === format) ? undefined : format;
}

/** @returns whether the output is for programs, so that stdout must hold nothing else */
export function isData(flags: ShowFlags): boolean {
  return templateOf(flags) !== undefined || ['json', 'yaml', 'name'].includes(formatOf(flags));
}

/** @returns the width of the terminal on stdout; undefined if nothing must be cut */
export function widthOf(cli: Cli): number | undefined {
  return cli.stdout.isTTY === true ? cli.stdout.columns : undefined;
}

/** @returns undefined for the formats for people */
async function dataLines(flags: ShowFlags, value: unknown, items: readonly unknown[], streaming: Streaming): Promise<string[] | undefined> {
  const template = templateOf(flags);
  if (template !== undefined) return templateLines(template, items);
  const format = formatOf(flags);
  if (format === 'json') return [streaming.isStream ? toJson(value) : toJson(value, 2)];
  if (format !== 'yaml') return undefined;
  const { toYaml } = await import('../lib/yaml.ts');
  return [...(streaming.isStream ? ['---'] : []), toYaml(value as Parameters<typeof toYaml>[0])];
}

async function templateLines(template: string, values: readonly unknown[]): Promise<string[]> {
  const { compileTemplate, TemplateProblem } = await import('../lib/template.ts');
  try {
    const fill = compileTemplate(template);
    return values.map((value) => safeText(fill(value)));
  } catch (error) {
    if (!(error instanceof TemplateProblem)) throw error;
    throw new BangerError('INVALID_INPUT', `--format: ${error.message}`, { remedy: `give ${error.allowed}` });
  }
}
