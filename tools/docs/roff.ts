// Makes manual pages, man(7): .TH, .SH, .TP and .nf are all they need.
import { exitCodesHelp } from '../../src/cli/render/error.ts';
import type { ConfigKey } from './config-keys.ts';
import { withoutNoun } from './markdown.ts';
import type { CommandPage, Reference, Term } from './reference.ts';

/** Name of the file, and its text. */
export type ManualPage = { file: string; text: string };

/** @returns banger(1), one page for each command, and banger.toml(5) */
export function manualPages(reference: Reference, keys: readonly ConfigKey[], version: string): ManualPage[] {
  return [mainPage(reference, version), ...reference.pages.map((page) => commandPage(page, version)), configPage(keys, version)];
}

function mainPage({ shortcuts, groups, globalOptions, pages }: Reference, version: string): ManualPage {
  const list = pages.map(({ words, description }) => ({ term: `banger ${words.join(' ')}`, text: description }));
  return manualPage('banger', 1, version, [
    ['NAME', text('banger - persistent, isolated Linux machines on your own computer')],
    ['SYNOPSIS', '.B banger\n.I noun verb\n[options]'],
    ['DESCRIPTION', `${terms(groups)}\n.PP\n${text(withoutNoun(shortcuts, (word) => word))}`],
    ['COMMANDS', terms(list)],
    ['OPTIONS', terms(globalOptions)],
    ['EXIT STATUS', literal(exitCodesHelp())],
    [
      'ENVIRONMENT',
      terms([
        { term: 'BANGER_CONFIG, BANGER_STATE_DIR, BANGER_CACHE_DIR, BANGER_RUNTIME_DIR', text: 'other places than those of XDG' },
        { term: 'BANGER_NO_AUTOSTART', text: 'when set, no command starts the daemon' },
        { term: 'NO_COLOR, FORCE_COLOR, TERM, CI', text: 'colours, and lines instead of a spinner' },
      ]),
    ],
    ['SEE ALSO', text('banger.toml(5), banger-vm-create(1), banger-vm-ssh(1), banger-doctor(1)')],
  ]);
}

function commandPage({ words, description, usage, aliases, arguments: args, options, examples }: CommandPage, version: string): ManualPage {
  const name = `banger-${words.join('-')}`;
  const also = aliases.length === 0 ? '' : `\n.PP\n${text(`Also called ${aliases.join(', ')}.`)}`;
  return manualPage(name, 1, version, [
    ['NAME', text(`${name} - ${description}`)],
    ['SYNOPSIS', `.B ${text(usage)}`],
    ...(also === '' ? [] : [['DESCRIPTION', also.slice(5)] as const]),
    ...(args.length === 0 ? [] : [['ARGUMENTS', terms(args)] as const]),
    ['OPTIONS', terms([...options, { term: '-h, --help', text: 'display help for command' }])],
    ['EXAMPLES', literal(examples)],
    ['SEE ALSO', text('banger(1), banger.toml(5)')],
  ]);
}

function configPage(keys: readonly ConfigKey[], version: string): ManualPage {
  const list = keys.map(({ key, environment, default: value, meaning }) => ({
    term: key,
    text: `${meaning} (default: ${value}; variable: ${environment})`,
  }));
  return manualPage('banger.toml', 5, version, [
    ['NAME', text('banger.toml - settings of the daemon of banger')],
    ['SYNOPSIS', text('~/.config/banger/config.toml')],
    ['DESCRIPTION', text('TOML. An unknown key is an error that names its line. A variable goes before the file.')],
    ['KEYS', terms(list)],
    ['EXAMPLES', literal(['hypervisor = "qemu"', '', '[defaults]', 'memory = "2G"', 'vcpu = 4'])],
    ['SEE ALSO', text('banger(1)')],
  ]);
}

function manualPage(name: string, section: number, version: string, parts: readonly (readonly [string, string])[]): ManualPage {
  const head = `.TH "${text(name.toUpperCase())}" ${section} "" "banger ${text(version)}" "banger"`;
  const body = parts.map(([title, content]) => `.SH ${title}\n${content}`);
  return { file: `${name}.${section}`, text: `${[head, ...body].join('\n')}\n` };
}

function terms(list: readonly Term[]): string {
  return list.map((one) => `.TP\n.B ${text(one.term)}\n${text(one.text)}`).join('\n');
}

function literal(lines: readonly string[]): string {
  return `.nf\n${lines.map((line) => text(line)).join('\n')}\n.fi`;
}

/** groff_char(7): a bare hyphen may become another character, and a dot or quote at the beginning of a line is a request. */
function text(plain: string): string {
  return plain
    .replaceAll('\\', String.raw`\e`)
    .replaceAll('-', String.raw`\-`)
    .replaceAll(/^([.'])/gm, String.raw`\&$1`);
}
