// The head of an HTTP/1 request, read as strictly as RFC 9112 permits. A head with two readings is refused, because the guest's server
// might read it in the other way. Pure.

export type RequestHead = {
  method: string;
  /** As the client wrote it in the URI or in Host. */
  authority: string;
  /** Names are in lower case; values of equal names are joined by commas. */
  headers: ReadonlyMap<string, string>;
  /** What the guest gets. */
  bytes: Buffer;
  /** The length of the body in bytes; chunked if the client does not know it. */
  body: number | 'chunked';
  /** The target is a whole URI, as clients of a proxy write it. */
  isForProxy: boolean;
  /** The guest may answer 101, after which the connection is no longer HTTP. */
  mayUpgrade: boolean;
};

type Field = { name: string; value: string; line: string };

/** No control characters in either: some servers treat a lone CR or LF as the end of a line. */
const REQUEST_LINE = /^([A-Z][A-Z0-9!#$%&'*+.^_`|~-]*) ([!-~\u{80}-\u{ff}]+) HTTP\/1\.([01])$/u;
const FIELD = /^([A-Za-z0-9!#$%&'*+.^_`|~-]+):([\t -~\u{80}-\u{ff}]*)$/u;
const LENGTH = /^\d{1,15}$/;

/**
 * @param raw the head with the empty line at its end
 * @returns undefined for a head that is refused
 */
export function parseHead(raw: Buffer): RequestHead | undefined {
  const text = raw.toString('latin1');
  const [first = '', ...lines] = text.slice(0, -4).split('\r\n');
  const [, method, target = '', minor] = REQUEST_LINE.exec(first) ?? [];
  if (method === undefined) return undefined;
  const fields: Field[] = [];
  for (const line of lines) {
    const [, name, value = ''] = FIELD.exec(line) ?? [];
    if (name === undefined) return undefined;
    fields.push({ name: name.toLowerCase(), value: trimmed(value), line });
  }
  const body = bodyOf(fields, minor === '0');
  const place = placeOf(method, target, fields);
  if (body === undefined || place === undefined) return undefined;
  const passed = withoutHttp2(fields);
  const isAsWritten = place.path === target && passed.length === fields.length;
  const headers = new Map<string, string>();
  for (const { name, value } of passed) headers.set(name, headers.has(name) ? `${headers.get(name)}, ${value}` : value);
  const bytes = isAsWritten ? raw : rewritten(`${method} ${place.path} HTTP/1.${minor}`, place.authority, passed);
  return {
    method,
    authority: place.authority,
    headers,
    bytes,
    body,
    isForProxy: !/^[/*]/.test(target),
    mayUpgrade: headers.has('upgrade'),
  };
}

/** Trims spaces. A regular expression for it would take quadratic time on a hostile header. */
function trimmed(value: string): string {
  const isSpace = (at: number): boolean => value[at] === ' ' || value[at] === '\t';
  let [begin, end] = [0, value.length];
  while (begin < end && isSpace(begin)) begin++;
  while (end > begin && isSpace(end - 1)) end--;
  return value.slice(begin, end);
}

const valuesOf = (fields: readonly Field[], wanted: string): string[] =>
  fields.flatMap(({ name, value }) => (name === wanted ? [value] : []));

/** RFC 9112 §6.3: exactly one way to tell the length. */
function bodyOf(fields: readonly Field[], isOld: boolean): RequestHead['body'] | undefined {
  const [length, ...moreLengths] = valuesOf(fields, 'content-length');
  const [coding, ...moreCodings] = valuesOf(fields, 'transfer-encoding');
  if (moreLengths.length + moreCodings.length > 0) return undefined;
  if (coding !== undefined) return length === undefined && !isOld && coding.toLowerCase() === 'chunked' ? 'chunked' : undefined;
  if (length === undefined) return 0;
  return LENGTH.test(length) ? Number(length) : undefined;
}

/** RFC 9112 §3.2: a whole URI takes precedence over Host. There are no other targets: this is no proxy. */
function placeOf(method: string, target: string, fields: readonly Field[]): { authority: string; path: string } | undefined {
  const [host, ...more] = valuesOf(fields, 'host');
  if (more.length > 0) return undefined;
  const [, authority, rest = ''] = /^http:\/\/([^/?#]+)([^#]*)$/i.exec(target) ?? [];
  if (authority !== undefined) {
    const path = rest === '' && method === 'OPTIONS' ? '*' : rest.startsWith('/') ? rest : `/${rest}`;
    return { authority, path };
  }
  const isPath = target.startsWith('/') || (target === '*' && method === 'OPTIONS');
  return host === undefined || !isPath ? undefined : { authority: host, path: target };
}

/**
 * An upgrade to HTTP/2 is not passed on (servers may always decline it): the requests behind it could have other names unseen. Clients that
 * want HTTP/2 may begin with it.
 */
function withoutHttp2(fields: readonly Field[]): readonly Field[] {
  const isOffered = fields.some(({ name, value }) => name === 'http2-settings' || (name === 'upgrade' && /\bh2c?\b/i.test(value)));
  if (!isOffered) return fields;
  return fields.flatMap((field) => {
    if (field.name === 'http2-settings' || field.name === 'upgrade') return [];
    if (field.name !== 'connection') return [field];
    const value = field.value
      .split(',')
      .map((option) => option.trim())
      .filter((option) => !/^(?:upgrade|http2-settings)$/i.test(option))
      .join(', ');
    return value === '' ? [] : [{ ...field, value, line: `Connection: ${value}` }];
  });
}

function rewritten(line: string, authority: string, fields: readonly Field[]): Buffer {
  const others = fields.filter(({ name }) => name !== 'host').map((field) => field.line);
  return Buffer.from([line, `Host: ${authority}`, ...others, '', ''].join('\r\n'), 'latin1');
}
