// Words and names that do not belong in the repository, each with its replacement. check-tidy.ts applies them.

export const LIMITS = { fileLines: 400, fileLinesWarning: 200, functionLines: 70, fileBytes: 128 * 1024 } as const;

/** A pattern that must not match any line of the files that `applies` selects. */
export type WordRule = { pattern: RegExp; instead: string; applies: (path: string) => boolean };

const everywhere = (): boolean => true;
const isCode = (path: string): boolean => /\.(ts|c|h)$/.test(path);
const isTypeScript = (path: string): boolean => path.endsWith('.ts');
const isTestFile = (path: string): boolean => path.endsWith('.test.ts') || path.startsWith('test/');
const below = (path: string, ...folders: string[]): boolean => folders.some((folder) => path.startsWith(folder));

/** These files connect to sockets of the user, of jails, and of guests by TCP; each checks the owner. */
const CONNECTING = new Set([
  'src/lib/own-socket.ts',
  'src/host/unix-socket.ts',
  'src/host/stand-in.ts',
  'src/http/serve.ts',
  'src/http/http1.ts',
  'src/http/http2.ts',
  'src/http/probe.ts',
]);

export const WORD_RULES: readonly WordRule[] = [
  {
    pattern:
      /^import .*\b(connect|\* as \w+)\b.* from 'node:net'|\bcreateConnection\(|\bnew Socket\([^)]*\)\.connect\(|\brequest\(\{.*\bsocketPath\b/,
    instead: 'connectOwnSocket or connectRootSocket of src/lib/own-socket.ts: they ask whose socket it is before a byte is sent',
    applies: (path) => isTypeScript(path) && below(path, 'src/') && !isTestFile(path) && !CONNECTING.has(path),
  },
  {
    pattern: /\brealHost\b/,
    instead: 'take a Host as a parameter; only src/daemon/compose/ names the real one',
    applies: (path) =>
      isTypeScript(path) && below(path, 'src/') && !below(path, 'src/daemon/compose/') && path !== 'src/host/host.ts' && !isTestFile(path),
  },
  {
    pattern: /\bthrow new Error\(/,
    instead: 'throw a BangerError with code, sentence and remedy',
    applies: (path) => isTypeScript(path) && below(path, 'src/') && !below(path, 'src/lib/') && !isTestFile(path),
  },
  {
    pattern: /\.(message|stderr)\s*\.\s*(includes|startsWith|endsWith|indexOf|match|search)\(/,
    instead: 'decide by code or by a field; the text is for people',
    applies: (path) => isTypeScript(path) && below(path, 'src/') && !isTestFile(path),
  },
  { pattern: /\bas any\b/, instead: 'name the type, or parse it at the edge', applies: isTypeScript },
  { pattern: /@ts-(ignore|nocheck)\b/, instead: 'mend the type; @ts-expect-error with a reason where a test must', applies: isTypeScript },
  {
    pattern: /\bconsole\.(log|error|warn|info|debug)\(/,
    instead: 'use the logger; only the CLI, tools and benches print',
    applies: (path) => isTypeScript(path) && !below(path, 'src/cli/', 'tools/', 'bench/') && !isTestFile(path),
  },
  {
    // A quoted text on a line about a remedy that mixes a command with prose.
    pattern:
      /\bremedy\b.*(['"`])(?!(sudo|banger|ss|tar|mv) )[^'"`]*\b(sudo \S|banger (bundle|context|daemon|dns|doctor|image|operation|setup|ssh-config|vm)\b)|\bremedy\b.*['"`](sudo|banger) [^'"`]*(, (then|or|once|when) |; )/,
    instead: 'a remedy is a command line that can be run as it stands, or a sentence without one',
    applies: (path) => isTypeScript(path) && below(path, 'src/') && !isTestFile(path),
  },
  { pattern: /\b(TODO|FIXME|XXX|HACK|WIP)\b/, instead: 'do it now, or say what is absent and why', applies: everywhere },
  {
    pattern: /\b(work in progress|not yet implemented|coming soon|to be done|for now)\b/i,
    instead: 'describe what is, not what will be',
    applies: everywhere,
  },
  { pattern: /\bissues? #?\d+\b/i, instead: 'say what happens and when; a number tells the reader nothing', applies: everywhere },
  {
    pattern:
      /\bregistry\.[a-z0-9-]+\.[a-z]{2,}\b|\b(npmjs|yarnpkg|pypi|crates|rubygems)\.(com|org|io)\b|\b(deb|ftp|security)\.debian\.org\b/i,
    instead: 'name no package host: npm and apt know theirs',
    applies: everywhere,
  },
  {
    pattern: /(^|[\s'"`(=])\/(work|root\/\.|home\/[a-z]+)\/[a-z]/,
    instead: 'a path of one machine means nothing elsewhere',
    applies: (path) => !isTestFile(path),
  },
  {
    pattern: / \([1-9]\d?\.\d{1,2}(, \d{1,2}\.\d{1,2})*\)/,
    instead: 'only names of tests carry the numbers of requirements; a comment says what is meant',
    applies: (path) =>
      isCode(path) &&
      below(path, 'src/', 'native/', 'tools/', 'bench/') &&
      !isTestFile(path) &&
      !/\/(test\/|conformance(-[a-z]+)?\.ts$)/.test(path),
  },
  {
    pattern: /\bsprintf\(|\bstrcpy\(|\bstrcat\(|\bgets\(/,
    instead: 'use the bounded form (snprintf, memcpy with a length)',
    applies: isCode,
  },
];

/** File names that say nothing about what is inside. */
export const NAME_RULES: readonly { pattern: RegExp; instead: string }[] = [
  { pattern: /(^|\/)(utils?|helpers?|common|misc|shared|stuff)(\.[a-z]+)*$/, instead: 'name the file after the one thing it does' },
  { pattern: /(^|\/)index\.ts$/, instead: 'import the file itself; barrels hide who needs what' },
  { pattern: /\/[^/]*[A-Z_ ][^/]*\.ts$/, instead: 'file names are lower-case words joined by hyphens' },
];

/** These files contain the words on purpose. */
export const EXEMPT_FROM_WORDS: ReadonlySet<string> = new Set(['tools/tidy-rules.ts', 'tools/check-tidy.test.ts', 'CONTRIBUTING.md']);
