import { given } from '../lib/given.ts';
import { messageOf } from '../lib/message-of.ts';
/**
 * Every failure of banger has one of these codes. Callers decide by code; the text is only for people.
 * `exit` is the CLI's exit status, `status` the HTTP status of the API.
 */
export const ERROR_CODES = {
  USAGE: { exit: 2, status: 400 },
  INVALID_INPUT: { exit: 2, status: 400 },
  CONFIG_INVALID: { exit: 2, status: 500 },
  NOT_FOUND: { exit: 3, status: 404 },
  AMBIGUOUS_REFERENCE: { exit: 3, status: 409 },
  NAME_TAKEN: { exit: 1, status: 409 },
  /** Another program or VM has the port. */
  PORT_TAKEN: { exit: 1, status: 409 },
  WRONG_STATE: { exit: 1, status: 409 },
  BUSY: { exit: 1, status: 409 },
  CANCELLED: { exit: 130, status: 499 },
  /** The daemon ended in the middle; since then, the work was finished or undone. */
  INTERRUPTED: { exit: 1, status: 500 },
  TIMEOUT: { exit: 124, status: 504 },
  BUNDLE_MISSING: { exit: 1, status: 503 },
  BUNDLE_BROKEN: { exit: 1, status: 503 },
  PREREQUISITE_MISSING: { exit: 1, status: 503 },
  NOT_PERMITTED: { exit: 1, status: 403 },
  NO_SPACE: { exit: 1, status: 507 },
  COMMAND_FAILED: { exit: 1, status: 500 },
  DOWNLOAD_FAILED: { exit: 1, status: 502 },
  VMM_FAILED: { exit: 1, status: 500 },
  /** A paused machine cannot go on here: something that it depends on has changed. */
  SNAPSHOT_UNUSABLE: { exit: 1, status: 409 },
  BOOT_FAILED: { exit: 1, status: 500 },
  AGENT_UNREACHABLE: { exit: 1, status: 502 },
  AGENT_PROTOCOL: { exit: 1, status: 502 },
  GUEST_COMMAND_NOT_FOUND: { exit: 127, status: 422 },
  GUEST_COMMAND_NOT_EXECUTABLE: { exit: 126, status: 422 },
  GUEST_FILE: { exit: 1, status: 422 },
  NETWORK_FAILED: { exit: 1, status: 500 },
  STORAGE_FAILED: { exit: 1, status: 500 },
  DATABASE_CORRUPT: { exit: 1, status: 500 },
  DATABASE_NEWER: { exit: 1, status: 500 },
  DAEMON_UNREACHABLE: { exit: 1, status: 502 },
  /** EX_TEMPFAIL (sysexits.h): the daemon's own exit status if another daemon was faster. The CLI then waits for that one. */
  DAEMON_RUNNING: { exit: 75, status: 409 },
  PAYLOAD_TOO_LARGE: { exit: 2, status: 413 },
  UNSUPPORTED: { exit: 1, status: 501 },
  INTERNAL: { exit: 1, status: 500 },
} as const satisfies Record<string, { exit: number; status: number }>;

export type ErrorCode = keyof typeof ERROR_CODES;

/** What an error says besides its code; the wire form of the API has the same members. */
export type ErrorFacts = {
  /** The command or action that fixes it, ready to paste if there is one. */
  remedy?: string | undefined;
  /** Values for programs: names, sizes, exit codes. */
  details?: Record<string, unknown> | undefined;
  /** Absolute path of the file with all details. */
  logPath?: string | undefined;
};

/** Tells programs which members a request may have. People see the help of their command instead. */
export const SCHEMA_REMEDY = 'GET /openapi.json describes all requests';

/** One failure: a stable code, one sentence, and the facts. */
export class BangerError extends Error {
  override readonly name = 'BangerError';
  readonly code: ErrorCode;
  readonly remedy: string | undefined;
  readonly details: Record<string, unknown> | undefined;
  readonly logPath: string | undefined;
  /** Failures of the rollback, oldest first. */
  readonly undoErrors: Error[] = [];

  constructor(code: ErrorCode, message: string, facts: ErrorFacts & { cause?: unknown } = {}) {
    super(message, facts.cause === undefined ? {} : { cause: facts.cause });
    this.code = code;
    this.remedy = facts.remedy;
    this.details = facts.details;
    this.logPath = facts.logPath;
  }
}

/** An error as it crosses the socket. */
export type ErrorBody = {
  code: ErrorCode;
  message: string;
  remedy?: string | undefined;
  details?: Record<string, unknown> | undefined;
  logPath?: string | undefined;
  /** Messages of rollback steps that failed, too. */
  undo?: string[] | undefined;
};

/** @returns the wire form; an error that is no BangerError becomes INTERNAL with its message */
export function toErrorBody(error: unknown): ErrorBody {
  if (!(error instanceof BangerError)) {
    return { code: 'INTERNAL', message: messageOf(error) };
  }
  return {
    code: error.code,
    message: error.message,
    ...given({ remedy: error.remedy, details: error.details, logPath: error.logPath }),
    ...(error.undoErrors.length === 0 ? {} : { undo: error.undoErrors.map((e) => e.message) }),
  };
}

/** @returns the error in `body`; an unknown code (of a newer daemon) becomes INTERNAL */
export function fromErrorBody(body: ErrorBody): BangerError {
  const code = Object.hasOwn(ERROR_CODES, body.code) ? body.code : 'INTERNAL';
  const error = new BangerError(code, body.message, body);
  for (const message of body.undo ?? []) error.undoErrors.push(new BangerError('INTERNAL', message));
  return error;
}
