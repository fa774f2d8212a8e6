/** Limits of users' requests, with their reasons; those of a single setting are in settings/. */
export const LIMITS = {
  /** ext4 with a journal needs some room; 16 TiB is its limit with 4 KiB blocks. */
  diskBytes: { min: 64 * 1024 ** 2, max: 16 * 1024 ** 4 },
  /** File systems and overlays need whole sectors; users mean whole MiB anyway. */
  diskStepBytes: 1024 ** 2,
  /** A setting that is text is one line of a few words. */
  settingTextLength: 200,
  /** RFC 1035 label. */
  nameLength: { min: 1, max: 63 },
  /** Of one running machine at once; each takes as much memory as it has in use. */
  forks: { min: 1, max: 16 },
  /** PATH_MAX of Linux without the final NUL. */
  pathBytes: 4095,
  exec: {
    /** MAX_ARG_STRLEN of Linux, 32 pages, without the final NUL: one word of a command, or one NAME=value. */
    wordBytes: 131_071,
    /**
     * The total that execve accepts (execve(2), bprm_stack_limits of Linux): a quarter of the stack's limit of 8 MiB, for every word with
     * its NUL and its pointer. At most 209,715 words of one letter fit.
     */
    totalBytes: 2 * 1024 ** 2,
  },
  /** Notes of a person or a script, not data: every reply about the VM contains all of them. */
  labels: { maxCount: 64, maxValueLength: 255 },
} as const;

/** Limits of one request to the guest agent, which has them from native/common/constants.h. */
export const AGENT_LIMITS = {
  /** A path with every byte percent-encoded, and room for the rest of the head. */
  headBytes: 16 * 1024,
  /** The largest command: JSON writes a byte as six (\u001f) at most. */
  jsonBytes: 13 * 1024 ** 2,
  /** An empty word uses nine bytes of LIMITS.exec.totalBytes, so there are no more than 233,016 words. */
  jsonValues: 262_144,
} as const;

/**
 * Descriptor limit of a Firecracker: it allocates a table of this size at its start, and the daemon's own limit may be a million. A VM uses
 * some 30.
 */
export const VMM_OPEN_FILES = 2048;

const POINTER_BYTES = 8;

/** @returns why Linux cannot run that command, as words after its name ("the command …"); undefined if it can */
export function execProblem(argv: readonly string[], environment: Readonly<Record<string, string>> = {}): string | undefined {
  const words = [...argv, ...Object.entries(environment).map(([name, value]) => `${name}=${value}`)];
  let totalBytes = 0;
  for (const word of words) {
    // Half of a surrogate pair is no character, and cannot be sent as one.
    if (word.includes('\0') || !word.isWellFormed()) return 'has a word that cannot be passed to a program (a NUL, or half a character)';
    const bytes = Buffer.byteLength(word);
    if (bytes > LIMITS.exec.wordBytes) return `has a word of ${bytes} bytes; the limit of Linux is ${LIMITS.exec.wordBytes}`;
    totalBytes += bytes + 1 + POINTER_BYTES;
  }
  if (argv[0] === undefined || argv[0] === '') return 'has no program';
  if (totalBytes <= LIMITS.exec.totalBytes) return undefined;
  return `and its environment take ${totalBytes} bytes with ${words.length} words; the limit of Linux is ${LIMITS.exec.totalBytes}`;
}

/** Signals with a meaning for a VMM (signal(7)). */
export const VMM_SIGNALS = ['SIGKILL', 'SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGSTOP', 'SIGCONT'] as const;

/** Key of a label: letters, digits and `.`, `_`, `-`, `/` between them, 63 at most. */
export const LABEL_KEY = /^[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$/;

/** Value of a label: any text of one line. */
export const LABEL_VALUE = /^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]*$/u;

/** A package of Debian, with or without an architecture, or of Void. */
export const PACKAGE_NAME = /^[A-Za-z0-9][A-Za-z0-9_+.-]*(:[a-z0-9]+)?$/;
