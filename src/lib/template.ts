// Small templates over plain data, the commonly used part of docker's --format: {{.name}}, {{json .spec}}, \t and \n.
import { nearest } from './nearest.ts';
import { toJson } from './terminal-text.ts';

/** A malformed template, or one that names a member that does not exist. */
export class TemplateProblem extends Error {
  override readonly name = 'TemplateProblem';
  /** The names that would have been right. */
  readonly allowed: string;

  constructor(message: string, allowed: string) {
    super(message);
    this.allowed = allowed;
  }
}

type Part =
  | string
  | { path: readonly string[]; asJson: boolean; /** A key of what the path leads to, which need not be there. */ key?: string };

const PATH = String.raw`\.((?:[A-Za-z0-9_]+\.)*[A-Za-z0-9_]+)?`;
const FIELD = new RegExp(String.raw`^\s*(json\s+)?${PATH}\s*$`);
const KEYED = new RegExp(String.raw`^\s*index\s+${PATH}\s+"([^"]*)"\s*$`);

/**
 * `{{.a.b}}` is a member of a member (a number selects an item of a list), `{{.}}` the whole, `{{json .a}}` the same as JSON; `{{index .a
 * "k"}}` is the value of a key in a map, and nothing if the key is missing. `\t` and `\n` are a tab and a line end. Null prints nothing;
 * objects and lists print JSON.
 * @returns a function that fills the template with one value
 * @throws TemplateProblem, also from the returned function: for a member that the value lacks
 */
export function compileTemplate(template: string): (value: unknown) => string {
  const parts = partsOf(template);
  return (value) => parts.map((part) => (typeof part === 'string' ? part : textOf(part, value))).join('');
}

function partsOf(template: string): Part[] {
  return template.split(/(\{\{.*?\}\})/s).map((piece) => {
    if (!piece.startsWith('{{') || !piece.endsWith('}}')) {
      if (piece.includes('{{')) throw new TemplateProblem('{{ without }}', '{{.name}}');
      return piece.replaceAll(String.raw`\t`, '\t').replaceAll(String.raw`\n`, '\n');
    }
    const keyed = KEYED.exec(piece.slice(2, -2));
    if (keyed !== null) return { path: keyed[1]?.split('.') ?? [], asJson: false, key: keyed[2] ?? '' };
    const match = FIELD.exec(piece.slice(2, -2));
    if (match === null) throw new TemplateProblem(`${piece} is not understood`, '{{.name}}, {{.spec.nat}} or {{json .}}');
    return { path: match[2]?.split('.') ?? [], asJson: match[1] !== undefined };
  });
}

function textOf({ path, asJson, key }: Exclude<Part, string>, value: unknown): string {
  let found = value;
  for (const name of path) {
    if (found === null || found === undefined) break;
    const members = typeof found === 'object' ? Object.keys(found) : [];
    if (!members.includes(name)) {
      const near = nearest(name, members);
      const hint = near === undefined ? '' : `; did you mean ${near}?`;
      throw new TemplateProblem(`{{.${path.join('.')}}}: there is no ${name}${hint}`, members.length === 0 ? '{{.}}' : members.join(', '));
    }
    found = (found as Record<string, unknown>)[name];
  }
  if (key !== undefined) found = typeof found === 'object' && found !== null && Object.hasOwn(found, key) ? found[key as never] : undefined;
  if (asJson) return toJson(found ?? null);
  if (found === null || found === undefined) return '';
  return typeof found === 'object' ? toJson(found) : `${found as string | number | boolean}`;
}
