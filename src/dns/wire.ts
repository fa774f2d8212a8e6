// Bytes in, bytes out: decodes a query, asks the zone, encodes the answer within the size that the client takes.
import type { Packet } from 'dns-packet';
import { TRUNCATED_RESPONSE, decode, encode } from 'dns-packet';
import { type ZoneRecords, answerQuery } from './zone.ts';

/** Without EDNS a datagram has at most this (RFC 1035 §2.3.4). */
const PLAIN_UDP_BYTES = 512;
/** The most that is sent in one datagram, whatever the client offers. */
const MAX_UDP_BYTES = 4096;
const HEADER_BYTES = 12;
const FORMERR = 1;

/**
 * @param query one message, as untrusted bytes
 * @param transport over UDP an answer that is too long is cut and marked, so that the client comes back over TCP
 * @returns the answer, or undefined where silence is right: responses and what is too short to have an id
 */
export function answerBytes(query: Buffer, records: ZoneRecords, serial: number, transport: 'udp' | 'tcp'): Buffer | undefined {
  if (query.length < HEADER_BYTES) return undefined;
  // A response is never answered, else two servers could talk for ever.
  if ((query.readUInt8(2) & 0x80) !== 0) return undefined;
  let response: Packet | undefined;
  let limitBytes = PLAIN_UDP_BYTES;
  try {
    const packet = decode(query);
    const opt = (packet.additionals ?? []).find((record) => record.type === 'OPT');
    if (opt !== undefined && 'udpPayloadSize' in opt) limitBytes = Math.min(MAX_UDP_BYTES, Math.max(PLAIN_UDP_BYTES, opt.udpPayloadSize));
    response = answerQuery(packet, records, serial);
    if (response === undefined) return undefined;
    const bytes = encode(response);
    if (transport === 'tcp' || bytes.length <= limitBytes) return bytes;
    return encode({ ...response, flags: (response.flags ?? 0) | TRUNCATED_RESPONSE, answers: [], authorities: [] });
  } catch {
    return formatError(query);
  }
}

/** @returns a bare header: id, opcode and RD of the query, FORMERR. */
function formatError(query: Buffer): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  query.copy(header, 0, 0, 2);
  header.writeUInt8(0x80 | (query.readUInt8(2) & 0x79), 2);
  header.writeUInt8(FORMERR, 3);
  return header;
}
