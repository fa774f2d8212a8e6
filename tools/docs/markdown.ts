// Makes docs/cli.md: every command on one searchable page.
import { exitCodesHelp } from '../../src/cli/render/error.ts';
import type { ConfigKey } from './config-keys.ts';
import type { CommandPage, Reference, Term } from './reference.ts';

/** @returns the text of docs/cli.md as it must be */
export function cliMarkdown({ shortcuts, groups, globalOptions, pages }: Reference, keys: readonly ConfigKey[]): string {
  const sections = [
    '# Commands',
    '`make docs` generates this page from the declarations; `banger help COMMAND` and `man banger-COMMAND` say the same.',
    contents(groups, pages),
    `## Without a noun\n\n${withoutNoun(shortcuts, (word) => `\`${word}\``)}`,
    '## Everywhere\n\nThese work before and after the command.',
    table('switch', globalOptions),
    TEMPLATES,
    ...pages.map(section),
    `## Exit codes\n\n\`\`\`text\n${exitCodesHelp().join('\n')}\n\`\`\``,
    `## config.toml\n\nIn \`~/.config/banger/\`, or at \`BANGER_CONFIG\`. Variables override the file. Write sizes as
\`512M\` or \`8GiB\`, durations as \`90s\` or \`12h\`. An unknown key is an error that names its line.`,
    configTable(keys),
  ];
  return `${sections.join('\n\n')}\n`;
}

/** @returns the sentence about verbs that need no noun, for the reference and the manual page */
export function withoutNoun(shortcuts: readonly string[], quote: (word: string) => string): string {
  return `Verbs of virtual machines work without the noun: ${quote('banger ps')} is ${quote('banger vm ps')}, ${quote('banger images')} is ${quote('banger image list')}. These are ${shortcuts.map(quote).join(', ')}.`;
}

const TEMPLATES = `### Output

\`-o table\` and \`-o wide\` are for people: a narrow terminal leaves out or cuts columns; a pipe gets all of them.
\`-o json\` and \`-o yaml\` have the shape of the API, \`-o name\` and \`-q\` print names only. With \`--watch\`, JSON is one line each time.

\`--format\` takes a template: \`{{.name}}\` is a member, \`{{.spec.vcpuCount}}\` a nested member, \`{{.files.0.path}}\` a member of an item,
\`{{index .labels "key"}}\` the value of a key,
\`{{json .spec}}\` the same as JSON, \`{{.}}\` everything, \`\\t\` a tab, \`\\n\` a line end. Null prints nothing.`;

function contents(groups: readonly Term[], pages: readonly CommandPage[]): string {
  const linksOf = (wanted: (page: CommandPage) => boolean): string =>
    pages
      .filter(wanted)
      .map(({ words }) => `[${words.slice(words.length === 1 ? 0 : 1).join(' ')}](#banger-${words.join('-')})`)
      .join(' · ');
  const rows = groups.map(({ term, text }) => `| ${term} | ${text} | ${linksOf(({ words }) => words[0] === term)} |`);
  const others = linksOf(({ words }) => words.length === 1);
  return `| | | |\n|---|---|---|\n${rows.join('\n')}\n| | | ${others} |`;
}

function section(page: CommandPage): string {
  const { words, description, usage, aliases } = page;
  const also = aliases.length === 0 ? '' : ` Also called ${aliases.map((name) => `\`${name}\``).join(', ')}.`;
  return [
    `## banger ${words.join(' ')}`,
    `${description[0]?.toUpperCase() ?? ''}${description.slice(1)}.${also}`,
    `\`\`\`text\n${usage}\n\`\`\``,
    ...(page.arguments.length === 0 ? [] : [table('argument', page.arguments)]),
    ...(page.options.length === 0 ? [] : [table('switch', page.options)]),
    `\`\`\`sh\n${page.examples.join('\n')}\n\`\`\``,
  ].join('\n\n');
}

function table(title: string, terms: readonly Term[]): string {
  return `| ${title} | |\n|---|---|\n${terms.map(({ term, text }) => `| \`${term.replaceAll('|', '\\|')}\` | ${cell(text)} |`).join('\n')}`;
}

function configTable(keys: readonly ConfigKey[]): string {
  const rows = keys.map(
    ({ key, environment, default: value, meaning }) => `| \`${key}\` | ${value} | ${cell(meaning)} | \`${environment}\` |`,
  );
  return `| key | default | | variable |\n|---|---|---|---|\n${rows.join('\n')}`;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;');
}
