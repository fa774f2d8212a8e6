// The copy program's messages on stderr, at either end: `error ERRNO TEXT`, `note TEXT`, `total BYTES`. A guest may send anything.
import { constants } from 'node:os';
import { BangerError, type ErrorCode } from '../model/errors.ts';
import { safeLine } from '../lib/terminal-text.ts';
import { given } from '../lib/given.ts';

/** The messages of one end of a copy. */
export type CopyTalk = {
  take(chunk: Buffer): void;
  /** Its error, if it sent one. */
  error(): { errno: number; text: string } | undefined;
  /** The end of its output that was none of these messages. */
  rest(): string;
};

const MAX_LINE_CHARS = 8192;
const MAX_NOTES = 20;

/**
 * @param listener.note gets each note; after a limit, notes are only counted
 * @param listener.total gets the estimated number of bytes to send
 */
export function createCopyTalk(listener: { note(text: string): void; total?(bytes: number): void }): CopyTalk {
  let line = '';
  let rest = '';
  let notes = 0;
  let error: { errno: number; text: string } | undefined;
  const takeLine = (text: string): void => {
    const found = /^(error (\d{1,4})|note|total) (.*)$/s.exec(text);
    if (found === null) rest = `${rest}${text}\n`.slice(-MAX_LINE_CHARS);
    else if (found[2] !== undefined) error = { errno: Number(found[2]), text: safeLine(found[3] ?? '') };
    else if (found[1] === 'note') {
      notes++;
      if (notes <= MAX_NOTES) listener.note(safeLine(found[3] ?? ''));
      else if (notes === MAX_NOTES + 1) listener.note('further notes are not shown');
    } else if (/^\d{1,15}$/.test(found[3] ?? '')) listener.total?.(Number(found[3]));
  };
  return {
    take(chunk) {
      const lines = (line + chunk.toString('utf8')).split('\n');
      line = (lines.pop() ?? '').slice(-MAX_LINE_CHARS);
      for (const text of lines) takeLine(text);
    },
    error: () => error,
    rest: () => safeLine((rest + line).trim().slice(-500)),
  };
}

const { ENOENT, ENOSPC, EDQUOT, EFBIG, EACCES, EPERM, EROFS, EBADMSG, EIO } = constants.errno;

/** Codes for errors of this host; all others mean a wrong argument. */
const HOST_CODES = new Map<number, ErrorCode>([
  ...([ENOENT] as const).map((n) => [n, 'NOT_FOUND'] as const),
  ...([ENOSPC, EDQUOT, EFBIG] as const).map((n) => [n, 'NO_SPACE'] as const),
  ...([EACCES, EPERM, EROFS, EIO] as const).map((n) => [n, 'NOT_PERMITTED'] as const),
  [EBADMSG, 'GUEST_FILE'],
]);

const HOST_REMEDIES: Partial<Record<ErrorCode, string>> = {
  NOT_FOUND: 'check the path',
  NO_SPACE: 'make room, then copy again',
  GUEST_FILE: 'copy into a new directory, and do not trust this machine',
};

/** @returns the error of this host's end */
export function hostError({ errno, text }: { errno: number; text: string }): BangerError {
  const code = HOST_CODES.get(errno) ?? 'INVALID_INPUT';
  const remedy = HOST_REMEDIES[code];
  return new BangerError(code, text, { details: { errno }, ...given({ remedy }) });
}

/** Characters that a shell expands to names. The guest's end of a copy does not expand them. */
const PATTERN = /[*?[{]/;

function guestRemedy(vm: string, { errno, text }: { errno: number; text: string }): string | undefined {
  if (errno === ENOSPC || errno === EDQUOT) return `banger vm exec ${vm} -- df -h`;
  if (errno === ENOENT && PATTERN.test(text)) return 'no shell expands patterns in the guest: copy the directory, or name each file';
  return undefined;
}

/** @returns the error of the guest's end, or for its lack of an error message */
export function guestError(vm: string, talk: CopyTalk, ending: { status: number; reason: string }): BangerError {
  const said = talk.error();
  if (said !== undefined) {
    const remedy = guestRemedy(vm, said);
    const details = { errno: said.errno };
    return new BangerError('GUEST_FILE', `in ${vm}: ${said.text}`, { details, ...given({ remedy }) });
  }
  // The usage message of an agent that does not know this command.
  if (ending.status === 2 && talk.rest().startsWith('usage: banger-agent')) {
    return new BangerError('AGENT_PROTOCOL', `${vm} has the guest agent of an older banger, which cannot copy`, {
      remedy: `banger vm restart ${vm}`,
    });
  }
  const why = ending.reason === '' ? talk.rest() : safeLine(ending.reason);
  return new BangerError('GUEST_FILE', `the copy in ${vm} failed (status ${ending.status})${why === '' ? '' : `: ${why}`}`, {
    remedy: `banger vm show ${vm}`,
    details: { status: ending.status },
  });
}
