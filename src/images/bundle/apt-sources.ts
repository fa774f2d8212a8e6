/** One entry of apt's sources, in the terms of sources.list(5). */
export type AptSource = { uris: string[]; suites: string[]; components: string[]; options: Record<string, string> };

/**
 * @param text a deb822 file (`*.sources`)
 * @returns its enabled binary-package entries
 */
export function parseDeb822(text: string): AptSource[] {
  const entries: AptSource[] = [];
  for (const stanza of text.replaceAll(/^#.*\n?/gm, '').split(/\n[ \t]*\n/)) {
    const fields = stanzaFields(stanza);
    const words = (name: string): string[] => (fields[name] ?? '').split(/\s+/).filter((word) => word !== '');
    if (!words('types').includes('deb') || /^(no|false|0|off)$/i.test(fields['enabled'] ?? '')) continue;
    const options: Record<string, string> = {};
    for (const [name, value] of Object.entries(fields)) {
      if (!['types', 'uris', 'suites', 'components', 'enabled'].includes(name)) options[name] = value;
    }
    entries.push({ uris: words('uris'), suites: words('suites'), components: words('components'), options });
  }
  return entries;
}

function stanzaFields(stanza: string): Record<string, string> {
  const fields: Record<string, string> = {};
  let name = '';
  for (const line of stanza.split('\n')) {
    const field = /^([A-Za-z0-9-]+):[ \t]*(.*)$/.exec(line);
    if (field?.[1] !== undefined) {
      name = field[1].toLowerCase();
      fields[name] = field[2] ?? '';
      // A key that is part of the file continues on indented lines, which must survive.
    } else if (/^[ \t]/.test(line) && name !== '') fields[name] += `\n${line}`;
  }
  return fields;
}

/**
 * @param text a file in the one-line format (`sources.list`, `*.list`)
 * @returns its binary-package entries
 */
export function parseOneLine(text: string): AptSource[] {
  const entries: AptSource[] = [];
  for (const line of text.split('\n')) {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s*)?(\S+)\s+(\S+)((?:\s+[^\s#]+)*)/.exec(line);
    if (match === null) continue;
    const options: Record<string, string> = {};
    for (const option of (match[1] ?? '').split(/\s+/)) {
      const at = option.indexOf('=');
      if (at > 0) options[option.slice(0, at).toLowerCase()] = option.slice(at + 1);
    }
    entries.push({
      uris: [match[2] ?? ''],
      suites: [match[3] ?? ''],
      components: (match[4] ?? '').split(/\s+/).filter((word) => word !== ''),
      options,
    });
  }
  return entries;
}

/**
 * Keeps the sources of the distribution itself: other archives need keys that a guest does not have, and do not belong into an image.
 * @param codename VERSION_CODENAME of os-release
 */
export function distributionSources(entries: readonly AptSource[], codename: string): AptSource[] {
  const wanted = new Set(['', '-updates', '-security', '/updates'].map((suffix) => codename + suffix));
  const kept: AptSource[] = [];
  for (const entry of entries) {
    const suites = entry.suites.filter((suite) => wanted.has(suite));
    if (suites.length > 0 && entry.components.includes('main')) kept.push({ ...entry, suites });
  }
  return kept;
}

/** @returns the entries as a deb822 file */
export function renderSources(entries: readonly AptSource[]): string {
  return entries.map(renderEntry).join('\n');
}

function renderEntry(entry: AptSource): string {
  const lines = [
    'Types: deb',
    `URIs: ${entry.uris.join(' ')}`,
    `Suites: ${entry.suites.join(' ')}`,
    `Components: ${entry.components.join(' ')}`,
    ...Object.entries(entry.options).map(([name, value]) => `${capitalized(name)}: ${value}`),
  ];
  return `${lines.join('\n')}\n`;
}

/** `signed-by` → `Signed-By`; the one-line option `arch` is called Architectures here. */
function capitalized(option: string): string {
  if (option === 'arch') return 'Architectures';
  return option.replaceAll(/(^|-)[a-z]/g, (letters) => letters.toUpperCase());
}

/** Settings of the builder's apt that it needs to use the same mirrors. */
const KEPT_SETTING =
  /^Acquire::(Check-Valid-Until|Check-Date|Max-FutureTime|Retries|ForceIPv[46]|https?::(.*::)?(Proxy|CaInfo|Verify-Peer))$/i;

/**
 * @param dump output of `apt-config dump Acquire`
 * @returns settings in the form of `apt -o`: `Name "value"`
 */
export function keptAptOptions(dump: string): string[] {
  const options: string[] = [];
  for (const line of dump.split('\n')) {
    const match = /^(\S+) "(.*)";$/.exec(line);
    if (match?.[1] !== undefined && match[2] !== '' && KEPT_SETTING.test(match[1])) options.push(`${match[1]} "${match[2]}"`);
  }
  return options;
}
