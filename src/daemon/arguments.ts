// The arguments of `bangerd`. It takes none but --help and --version, and must not start a daemon for these.

export const USAGE = `Usage: bangerd [options]

The daemon that owns the virtual machines of this user. banger starts it when it is needed, and systemd by its socket:
systemctl --user enable --now bangerd.socket. Its settings are in config.toml and in variables: docs/configuration.md.

Options:
  -V, --version  print the version
  -h, --help     print this

Examples:
  banger daemon status
  banger daemon restart
`;

/** @returns text to print before it exits; undefined if the daemon must run */
export function answerTo(words: readonly string[], version: string): { text: string; exitCode: number } | undefined {
  const [first] = words;
  if (first === undefined) return undefined;
  if (['-h', '--help', 'help'].includes(first)) return { text: USAGE, exitCode: 0 };
  if (['-V', '--version', 'version'].includes(first)) return { text: `${version}\n`, exitCode: 0 };
  return { text: `bangerd: it takes no arguments, and ${JSON.stringify(first.slice(0, 80))} is one\n  try: bangerd --help\n`, exitCode: 2 };
}
