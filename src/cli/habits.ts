// Words of docker, Lima, Incus, multipass and vagrant that banger calls differently or does not have. The error for an unknown word names
// the right one.

/** For each command of other tools: its counterpart here, as a sentence. */
const COMMANDS: Readonly<Record<string, string>> = {
  run: 'make a VM with banger create NAME, then run commands in it with banger exec NAME -- COMMAND',
  launch: 'make a VM with banger create NAME; --image IMAGE chooses its image',
  init: 'make a VM with banger create NAME --no-start',
  up: 'make a VM with banger create NAME, or start one with banger start NAME',
  down: 'stop a VM with banger stop NAME, or delete it with banger delete NAME',
  destroy: 'delete a VM with banger delete NAME',
  halt: 'stop a VM with banger stop NAME',
  poweroff: 'stop a VM with banger stop NAME',
  shutdown: 'stop a VM with banger stop NAME',
  reboot: 'restart a VM with banger restart NAME',
  attach: 'log in with banger ssh NAME; its console is in banger logs -f NAME',
  console: 'log in with banger ssh NAME; its console is in banger logs -f NAME',
  connect: 'log in with banger ssh NAME',
  top: 'see what VMs use with banger stats --watch',
  publish: 'open ports are at the address of the VM, see banger ports NAME; banger forward NAME 8080:80 adds others',
  rename: 'rename a VM with banger set NAME --name OTHER',
  edit: 'change a VM with banger set NAME --memory 4G, see banger set --help',
  update: 'change a VM with banger set NAME --memory 4G, see banger set --help',
  config: 'see docs/configuration.md; change a VM with banger set NAME',
  push: 'copy files with banger cp FILE NAME:/PATH',
  pull: 'copy files with banger cp NAME:/PATH FILE; make images with banger image build or banger image import',
  transfer: 'copy files with banger cp FILE NAME:/PATH',
  mount: 'copy files with banger cp, or mount a folder of the VM with sshfs NAME.vm:/PATH FOLDER after banger ssh-config --install',
  build: 'make an image with banger image build, or the runtime bundle with banger bundle build',
  load: 'make an image from docker save with banger image import FILE',
  rmi: 'delete an image with banger image delete NAME',
  prune: 'delete unused images with banger image prune; delete VMs by name, or with banger delete --all',
  info: 'check this host with banger doctor, and see a VM with banger show NAME',
  network: 'see docs/networking.md; banger set NAME --no-nat cuts a VM off from the outside',
  volume: 'disks belong to their VM; enlarge one with banger set NAME --disk-size 20G',
  system: 'check this host with banger doctor, and see what VMs use with banger stats',
  'show-ssh': 'let ssh reach VMs with banger ssh-config --install, then ssh NAME.vm',
  snapshot: 'banger has no snapshots of disks; copy files out with banger cp NAME:/root FOLDER',
  clone: 'fork a running VM with banger fork NAME; its copy goes on where it is',
  managedsave: 'suspend a VM with banger suspend NAME; its memory goes to disk',
};

type Habit = { instead: string } | { say: string };
const as = (instead: string): Habit => ({ instead });
const say = (sentence: string): Habit => ({ say: sentence });

const MEMORY = as('--memory');
const PROCESSORS = as('--vcpu');
const DISK = as('--disk-size');
const FOLDERS = say('a VM shares no folders with the host; copy them with banger cp FOLDER NAME:/PATH');
const PORTS = say('leave it out: open ports are at the address of the VM, see banger ports NAME; banger forward adds others');
const SIZES = {
  '--cpus': PROCESSORS,
  '--cpu': PROCESSORS,
  '--vcpus': PROCESSORS,
  '--disk': DISK,
  '--mem': MEMORY,
  '-m': MEMORY,
  '-c': PROCESSORS,
};

/** By banger's command and another tool's switch: the switch here, or a sentence. */
const SWITCHES: Readonly<Record<string, Readonly<Record<string, Habit>>>> = {
  'vm create': {
    ...SIZES,
    ...{ '--root-disk': as('--system-overlay-size'), '-n': as('--name'), '--hostname': as('--name'), '-i': as('--image') },
    ...{ '-v': FOLDERS, '--volume': FOLDERS, '--mount': FOLDERS, '-p': PORTS, '--publish': PORTS, '-P': PORTS },
    ...{
      '--template': as('--image'),
      '--tag': as('--label'),
      '--network': say('--no-nat cuts a VM off; see docs/networking.md for the rest'),
    },
    ...{
      '-e': say('set variables per command: banger exec -e NAME=VALUE'),
      '--env': say('set variables per command: banger exec -e NAME=VALUE'),
    },
    ...{
      '--rm': say('a VM stays until banger delete NAME'),
      '-t': say('log in to the running VM: banger ssh NAME'),
      '-it': say('log in to the running VM: banger ssh NAME'),
    },
    '--cloud-init': say('run a script in the running VM: banger exec NAME sh < SCRIPT'),
  },
  '': { '-v': as('--version'), '--verbose': as('--debug') },
  'vm set': SIZES,
  'vm list': {
    '-f': as('--filter'),
    '--json': say('give -o json'),
    '--quiet': as('-q'),
    '--no-trunc': say('leave it out: banger cuts nothing'),
  },
  'vm show': { '--json': say('give -o json'), '-f': as('--format') },
  'vm exec': { '--workdir': as('--cwd'), '--cd': as('--cwd'), '--privileged': say('leave it out: commands run as root') },
  'vm stop': {
    '--time': as('--grace'),
    '--timeout': as('--grace'),
    '--force': say('end it at once with banger kill NAME'),
    '-f': say('end it at once with banger kill NAME'),
  },
  'vm restart': { '--time': as('--grace'), '--timeout': as('--grace') },
  'vm delete': {
    '-v': say('leave it out: the disks go with the VM'),
    '--volumes': say('leave it out: the disks go with the VM'),
  },
  'vm logs': {
    '--until': say('use --since for the beginning'),
    '-t': say('use --events, whose lines have times'),
    '--timestamps': say('use --events, whose lines have times'),
  },
  'vm stats': { '--no-stream': say('leave it out: banger shows it once without --watch') },
};

/** @returns the counterpart of another tool's command, as a sentence */
export function habitOfCommand(word: string): string | undefined {
  return Object.hasOwn(COMMANDS, word) ? COMMANDS[word] : undefined;
}

/** By banger's command: the answer to surplus words. */
const SURPLUS: Readonly<Record<string, string>> = { 'vm create': 'give one name; --image IMAGE chooses what the VM boots from' };

/** @returns what the user probably meant by surplus words, as a sentence */
export function habitOfSurplus(command: string): string | undefined {
  return Object.hasOwn(SURPLUS, command) ? SURPLUS[command] : undefined;
}

/**
 * @param command its words without `banger`
 * @param typed an unknown switch, perhaps with a value
 */
export function habitOfSwitch(command: string, typed: string): Habit | undefined {
  const name = typed.replace(/=.*/, '');
  const habits = Object.hasOwn(SWITCHES, command) ? SWITCHES[command] : undefined;
  return habits !== undefined && Object.hasOwn(habits, name) ? habits[name] : undefined;
}
