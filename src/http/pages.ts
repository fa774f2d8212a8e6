// What a browser or a program is told when a request goes nowhere. Names come from requests, so they are escaped, and no page tells
// of any VM but the one that was asked for.

export type Page = { status: number; title: string; lines: readonly string[]; command?: string; again?: boolean };

export const PAGES = {
  unknown: (): Page => ({
    status: 404,
    title: 'No such virtual machine',
    lines: ['The name in the address belongs to no virtual machine of this daemon.'],
    command: 'banger vm list',
  }),
  bad: (): Page => ({
    status: 400,
    title: 'Not a request that can be routed',
    lines: ['It needs a path, and one Host header with a name under .vm. This is no proxy for other names.'],
  }),
  stopped: (vm: string): Page => ({
    status: 503,
    title: `${vm} is stopped`,
    lines: ['The virtual machine does not run. Start it, and load this page again.'],
    command: `banger vm start ${vm}`,
  }),
  starting: (vm: string): Page => ({
    status: 503,
    title: `${vm} is starting`,
    lines: ['This page is loaded again by itself.'],
    again: true,
  }),
  closed: (vm: string, port: number | undefined): Page => ({
    status: 502,
    title: port === undefined ? `Nothing listens in ${vm}` : `Nothing listens on port ${port} of ${vm}`,
    lines: ['The virtual machine runs, but no program in it takes this connection.'],
    command: `banger vm ports ${vm}`,
  }),
} as const;

const escaped = (text: string): string => text.replaceAll(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

const STYLE =
  'body{font:16px/1.5 system-ui,sans-serif;max-width:36em;margin:15vh auto;padding:0 1em}' +
  'code{display:block;padding:.6em .8em;border:1px solid;border-radius:.3em}@media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}}';

/** @param accept the client's Accept header: people get HTML, programs text */
export function renderPage(page: Page, accept: string): { status: number; headers: Record<string, string>; body: string } {
  const isHtml = accept.includes('text/html');
  const headers = {
    'content-type': isHtml ? 'text/html; charset=utf-8' : 'text/plain; charset=utf-8',
    'cache-control': 'no-store',
    'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'",
    'x-content-type-options': 'nosniff',
    ...(page.again === true ? { 'retry-after': '2' } : {}),
  };
  return { status: page.status, headers, body: isHtml ? htmlOf(page) : textOf(page) };
}

function textOf({ title, lines, command }: Page): string {
  return `${[title, ...lines, ...(command === undefined ? [] : [`  ${command}`])].join('\n')}\n`;
}

function htmlOf({ title, lines, command, again }: Page): string {
  const refresh = again === true ? '<meta http-equiv="refresh" content="2">' : '';
  const paragraphs = lines.map((line) => `<p>${escaped(line)}</p>`).join('');
  const code = command === undefined ? '' : `<code>${escaped(command)}</code>`;
  const head = `<meta charset="utf-8">${refresh}<title>${escaped(title)}</title><style>${STYLE}</style>`;
  return `<!doctype html><html lang="en"><head>${head}</head><body><h1>${escaped(title)}</h1>${paragraphs}${code}</body></html>\n`;
}
