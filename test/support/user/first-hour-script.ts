// A user's first hour: the text of the page before each screen, and what the user types.

export type Scene = {
  title?: string;
  text: string;
  /** The typed lines; a screen shows all of them. */
  say: readonly (string | { line: string; until: RegExp })[];
};

export const SCENES: readonly Scene[] = [
  {
    title: 'A machine',
    text: 'You need no set-up: the first command starts the daemon. `vm create` returns when the machine can be used.',
    say: ['banger vm create --name web'],
  },
  { text: 'The list shows it, with an address of its own.', say: ['banger vm list'] },
  {
    title: 'Inside',
    text: 'Run a command in it, then a shell. After the shell, banger reminds you that the machine still runs.',
    say: ['banger vm exec web -- uname -n', { line: 'banger vm ssh web', until: /root@web:.*# *$/ }, 'echo remember > note.txt && exit'],
  },
  {
    title: 'Files and ports',
    text: 'You can copy files both ways. A port that is open in the machine is open at its address on the host.',
    say: [
      'banger vm cp web:/root/note.txt . && cat note.txt',
      'banger vm cp serve.sh web:/root/serve.sh',
      'banger vm exec web -- systemd-run -q /root/serve.sh',
      "address=$(banger vm show web --format '{{.address}}')",
      'until curl -sf http://$address:8000/; do sleep 1; done',
      'until banger vm ports web -q | grep http.*8000; do sleep 1; done',
    ],
  },
  {
    title: 'Mistakes',
    text: 'banger names what you mistyped, and what you probably meant.',
    say: ['banger run web', 'banger vm lsit', 'banger vm list --ouput json', 'banger vm stop wbe'],
  },
  {
    text: 'banger refuses a bad value before it does anything, and gives a name to one machine only.',
    say: ['banger vm create --memory 0', 'banger vm create --name My_VM', 'banger vm create --name web', 'banger vm create --image nope'],
  },
  {
    title: 'The end of it',
    text: 'A stopped machine keeps its disks. On a terminal, `delete` asks first.',
    say: [
      'banger vm stop web',
      'banger vm exec web true',
      { line: 'banger vm delete web', until: /\[y\/N\] *$/ },
      'n',
      'banger vm delete --yes web',
      'banger vm list',
    ],
  },
];

/** Parts that differ in each run, and their placeholders. */
const VARIABLE: readonly [RegExp, string][] = [
  // An address is as wide as its column.
  [/\bADDRESS +CREATED$/g, 'ADDRESS      CREATED'],
  [/\b127\.\d+\.\d+\.\d+\b( {2,})?/g, '127.213.0.2$1'],
  [/\b127\.213\.0\.2 {2,}/g, '127.213.0.2  '],
  [/\b(\d+m ?)?\d+(\.\d+)?(ms|s)\b(?! ago)/g, '1.0s'],
  [/\b(just now|\d+(\.\d+)?(ms|s|m) ago|\d+ (seconds?|minutes?) ago)/g, 'just now'],
  [/\b[0-9a-f]{32}\b/g, '5f0c0de5f0c0de5f0c0de5f0c0de5f0c'],
];

/** @returns the lines of a screen without the parts that differ in each run */
export function steady(lines: readonly string[]): string[] {
  return lines.map((line) => VARIABLE.reduce((text, [pattern, stands]) => text.replaceAll(pattern, stands), line).trimEnd());
}
