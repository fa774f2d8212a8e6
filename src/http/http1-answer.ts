// A page as an HTTP/1 reply, after which the connection ends.
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { type Page, renderPage } from './pages.ts';
import type { RequestHead } from './request-head.ts';

/** How long a client may still send data that nobody reads. */
export const LINGER_MS = 1000;

/** @param head of the request, if it was readable */
export function answerHttp1(client: Socket, page: Page, head: RequestHead | undefined): void {
  const { status, headers, body } = renderPage(page, head?.headers.get('accept') ?? '');
  const fields = Object.entries({ ...headers, 'content-length': String(Buffer.byteLength(body)), connection: 'close' });
  const lines = [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`, ...fields.map(([name, value]) => `${name}: ${value}`), '', ''];
  client.end(lines.join('\r\n') + (head?.method === 'HEAD' ? '' : body));
  client.resume();
  setTimeout(() => client.destroy(), LINGER_MS).unref();
}
