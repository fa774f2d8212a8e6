import { BangerError } from '../model/errors.ts';

/** docs/agent-protocol.md: what the host accepts from an agent. */
export const MAX_HEAD_BYTES = 8192;

export type ReplyHead = {
  status: number;
  /** Names in lower case. */
  headers: ReadonlyMap<string, string>;
  /** Undefined if the reply has no body or switches to frames. */
  contentLength: number | undefined;
};

/**
 * Collects the head of one HTTP reply.
 * @returns a function that takes chunks and returns the head with the bytes after it, once it is complete
 * @throws (the function) AGENT_PROTOCOL on a head that is too long or malformed
 */
export function headReader(): (chunk: Buffer) => { head: ReplyHead; rest: Buffer } | undefined {
  let bytes = Buffer.alloc(0);
  return (chunk) => {
    const searchFrom = Math.max(0, bytes.length - 3);
    bytes = Buffer.concat([bytes, chunk]);
    const end = bytes.indexOf('\r\n\r\n', searchFrom);
    if (end < 0 ? bytes.length > MAX_HEAD_BYTES : end > MAX_HEAD_BYTES) throw violation('a head that is too long');
    if (end < 0) return undefined;
    return { head: parseReplyHead(bytes.toString('latin1', 0, end)), rest: bytes.subarray(end + 4) };
  };
}

/** @param text status line and headers without the empty line. @throws AGENT_PROTOCOL */
export function parseReplyHead(text: string): ReplyHead {
  const [statusLine = '', ...lines] = text.split('\r\n');
  const status = /^HTTP\/1\.1 ([1-5]\d\d)(?: [\x20-\x7e]*)?$/.exec(statusLine)?.[1];
  if (status === undefined) throw violation('a malformed status line');
  const headers = new Map<string, string>();
  for (const line of lines) {
    const match = /^([A-Za-z0-9-]{1,64}):[ \t]*([\x20-\x7e]*?)[ \t]*$/.exec(line);
    const name = match?.[1]?.toLowerCase();
    if (match === null || name === undefined) throw violation('a malformed header');
    if (headers.has(name)) throw violation('a header twice');
    headers.set(name, match[2] ?? '');
  }
  if (headers.has('transfer-encoding')) throw violation('a transfer encoding');
  return { status: Number(status), headers, contentLength: parseLength(headers.get('content-length')) };
}

function parseLength(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,15}$/.test(text)) throw violation('a malformed Content-Length');
  return Number(text);
}

/** @returns the error for a reply that breaks the protocol. @param what e.g. "a malformed header" */
export function violation(what: string): BangerError {
  return new BangerError('AGENT_PROTOCOL', `the guest agent sent ${what}`, {
    remedy: 'restart the VM; if that does not help, rebuild its image: its guest agent does not match this banger',
  });
}
