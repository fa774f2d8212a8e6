// The pages for requests that lead nowhere. Names come from requests, so they are escaped. No page mentions any VM but the requested one.

export type Page = {
  status: number;
  title: string;
  lines: readonly string[];
  command?: string;
  /** Reloads by itself. */
  again?: boolean;
  /** The label of a button that posts to the same address. */
  button?: string;
};

export const PAGES = {
  unknown: (): Page => ({
    status: 404,
    title: 'No such virtual machine',
    lines: ['The name in the address belongs to no virtual machine of this daemon.'],
    command: 'banger vm list',
  }),
  bad: (): Page => ({
    status: 400,
    title: 'The request cannot be routed',
    lines: ['It needs a path, and one Host header with a name under .vm or .localhost. This is no proxy for other names.'],
  }),
  misdirected: (): Page => ({
    status: 421,
    title: 'Another name on the same connection',
    lines: ['Each connection leads to one name. Ask for this one on a connection of its own.'],
  }),
  stopped: (vm: string): Page => ({
    status: 503,
    title: `${vm} is stopped`,
    lines: ['The virtual machine does not run. Start it, and load this page again.'],
    command: `banger vm start ${vm}`,
  }),
  asleep: (vm: string): Page => ({
    status: 503,
    title: `${vm} is stopped`,
    lines: ['The virtual machine does not run.'],
    command: `banger vm start ${vm}`,
    button: `Start ${vm}`,
  }),
  starting: (vm: string): Page => ({
    status: 503,
    title: `${vm} is starting`,
    lines: ['This page reloads by itself.'],
    again: true,
  }),
  closed: (vm: string, port: number | undefined): Page => ({
    status: 502,
    title: port === undefined ? `Nothing listens in ${vm}` : `Nothing listens on port ${port} of ${vm}`,
    lines: ['The virtual machine runs, but no program in it accepts this connection.'],
    command: `banger vm ports ${vm}`,
  }),
} as const;

const escaped = (text: string): string => text.replaceAll(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

const STYLE =
  'body{font:16px/1.5 system-ui,sans-serif;max-width:36em;margin:15vh auto;padding:0 1em}button{font:inherit;padding:.4em 1em}' +
  'code{display:block;padding:.6em .8em;border:1px solid;border-radius:.3em}@media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}}';

/** Not in a frame, so that no other site can trick a user into clicking the button; the button only posts to this name. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/** @param accept the client's Accept header: people get HTML, programs text */
export function renderPage(page: Page, accept: string): { status: number; headers: Record<string, string>; body: string } {
  const isHtml = accept.includes('text/html');
  const headers = {
    'content-type': isHtml ? 'text/html; charset=utf-8' : 'text/plain; charset=utf-8',
    'cache-control': 'no-store',
    'content-security-policy': POLICY,
    'x-frame-options': 'DENY',
    'x-content-type-options': 'nosniff',
    'cross-origin-resource-policy': 'same-origin',
    // Another policy would remove Origin from the button's POST, which distinguishes it from other sites.
    'referrer-policy': 'same-origin',
    ...(page.again === true ? { 'retry-after': '2' } : {}),
  };
  return { status: page.status, headers, body: isHtml ? htmlOf(page) : textOf(page) };
}

function textOf({ title, lines, command }: Page): string {
  return `${[title, ...lines, ...(command === undefined ? [] : [`  ${command}`])].join('\n')}\n`;
}

function htmlOf({ title, lines, command, again, button }: Page): string {
  const refresh = again === true ? '<meta http-equiv="refresh" content="2">' : '';
  const paragraphs = lines.map((line) => `<p>${escaped(line)}</p>`).join('');
  const form = button === undefined ? '' : `<form method="post"><button>${escaped(button)}</button></form><p>Or by a command:</p>`;
  const code = command === undefined ? '' : `<code>${escaped(command)}</code>`;
  const head = `<meta charset="utf-8">${refresh}<title>${escaped(title)}</title><style>${STYLE}</style>`;
  return `<!doctype html><html lang="en"><head>${head}</head><body><h1>${escaped(title)}</h1>${paragraphs}${form}${code}</body></html>\n`;
}
