// What people bring from docker, Lima, Incus, multipass and vagrant that has another name here, or is not needed: the errors that
// unknown words end in say which.

/** By command of other tools: what does it here, as a sentence. */
const COMMANDS: Readonly<Record<string, string>> = {
  run: 'make a machine with banger create NAME, then run commands in it with banger exec NAME -- COMMAND',
  launch: 'make a machine with banger create NAME; --image IMAGE says of which image',
  init: 'make a machine with banger create NAME --no-start',
  up: 'make a machine with banger create NAME, or start one with banger start NAME',
  down: 'stop a machine with banger stop NAME, or delete it with banger delete NAME',
  destroy: 'delete a machine with banger delete NAME',
  halt: 'stop a machine with banger stop NAME',
  poweroff: 'stop a machine with banger stop NAME',
  shutdown: 'stop a machine with banger stop NAME',
  reboot: 'start a machine anew with banger restart NAME',
  attach: 'log in with banger ssh NAME; what the console shows is in banger logs -f NAME',
  console: 'log in with banger ssh NAME; what the console shows is in banger logs -f NAME',
  connect: 'log in with banger ssh NAME',
  top: 'see what machines use with banger stats --watch',
  publish:
    'what listens in a machine is at its address already, see banger ports NAME; on other addresses with banger forward NAME 8080:80',
  rename: 'name a machine anew with banger set NAME --name OTHER',
  edit: 'change a machine with banger set NAME --memory 4G, as banger set --help says',
  update: 'change a machine with banger set NAME --memory 4G, as banger set --help says',
  config: 'see docs/configuration.md; machines are changed with banger set NAME',
  push: 'copy files with banger cp FILE NAME:/PATH',
  pull: 'copy files with banger cp NAME:/PATH FILE; images are made with banger image build or banger image import',
  transfer: 'copy files with banger cp FILE NAME:/PATH',
  mount: 'copy files with banger cp, or mount a folder of the machine with sshfs NAME.vm:/PATH FOLDER after banger ssh-config --install',
  build: 'make an image with banger image build, or the runtime bundle with banger bundle build',
  load: 'make an image of what docker save wrote with banger image import FILE',
  rmi: 'delete an image with banger image delete NAME',
  prune: 'delete images that nothing uses with banger image prune; machines are deleted by name only, or with banger delete --all',
  info: 'see what this host can do with banger doctor, and one machine with banger show NAME',
  network: 'see docs/networking.md; banger set NAME --no-nat cuts a machine off from the outside',
  volume: 'disks belong to their machine and grow with banger set NAME --disk-size 20G',
  system: 'see what this host can do with banger doctor, and what machines use with banger stats',
  'show-ssh': 'let ssh reach machines with banger ssh-config --install, then ssh NAME.vm',
  snapshot: 'nothing takes snapshots of a machine; copy what matters out with banger cp NAME:/root FOLDER',
  pause: 'machines are stopped with banger stop NAME; their disks stay',
  suspend: 'machines are stopped with banger stop NAME; their disks stay',
};

type Habit = { instead: string } | { say: string };
const as = (instead: string): Habit => ({ instead });
const say = (sentence: string): Habit => ({ say: sentence });

const MEMORY = as('--memory');
const PROCESSORS = as('--vcpu');
const DISK = as('--disk-size');
const FOLDERS = say('a machine shares no folders with the host; copy them with banger cp FOLDER NAME:/PATH');
const PORTS = say('leave it out: what listens in the machine is at its address, see banger ports NAME; elsewhere with banger forward');
const SIZES = {
  '--cpus': PROCESSORS,
  '--cpu': PROCESSORS,
  '--vcpus': PROCESSORS,
  '--disk': DISK,
  '--mem': MEMORY,
  '-m': MEMORY,
  '-c': PROCESSORS,
};

/** By command of ours and switch of other tools: the switch here, or a sentence. */
const SWITCHES: Readonly<Record<string, Readonly<Record<string, Habit>>>> = {
  'vm create': {
    ...SIZES,
    ...{ '--root-disk': as('--system-overlay-size'), '-n': as('--name'), '--hostname': as('--name'), '-i': as('--image') },
    ...{ '-v': FOLDERS, '--volume': FOLDERS, '--mount': FOLDERS, '-p': PORTS, '--publish': PORTS, '-P': PORTS },
    ...{
      '--template': as('--image'),
      '--tag': as('--label'),
      '--network': say('--no-nat cuts a machine off; docs/networking.md says the rest'),
    },
    ...{
      '-e': say('variables are given to commands: banger exec -e NAME=VALUE'),
      '--env': say('variables are given to commands: banger exec -e NAME=VALUE'),
    },
    ...{
      '--rm': say('machines stay until banger delete NAME'),
      '-t': say('log in when it runs: banger ssh NAME'),
      '-it': say('log in when it runs: banger ssh NAME'),
    },
    '--cloud-init': say('run a script when the machine runs: banger exec NAME sh < SCRIPT'),
  },
  '': { '-v': as('--version'), '--verbose': as('--debug') },
  'vm set': SIZES,
  'vm list': {
    '-f': as('--filter'),
    '--json': say('give -o json'),
    '--quiet': as('-q'),
    '--no-trunc': say('leave it out: nothing is cut'),
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
    '-v': say('leave it out: the disks go with the machine'),
    '--volumes': say('leave it out: the disks go with the machine'),
  },
  'vm logs': {
    '--until': say('--since says where to begin'),
    '-t': say('give --events, whose lines have times'),
    '--timestamps': say('give --events, whose lines have times'),
  },
  'vm stats': { '--no-stream': say('leave it out: it is shown once unless --watch is given') },
};

/** @returns what does here what this command does elsewhere, as a sentence */
export function habitOfCommand(word: string): string | undefined {
  return Object.hasOwn(COMMANDS, word) ? COMMANDS[word] : undefined;
}

/** By command of ours: what to say of words too many. */
const SURPLUS: Readonly<Record<string, string>> = { 'vm create': 'give one name; --image IMAGE says what the machine boots from' };

/** @returns what was probably meant by more words than the command takes, as a sentence */
export function habitOfSurplus(command: string): string | undefined {
  return Object.hasOwn(SURPLUS, command) ? SURPLUS[command] : undefined;
}

/**
 * @param command its words without `banger`
 * @param typed a switch that the command has not, perhaps with a value
 */
export function habitOfSwitch(command: string, typed: string): Habit | undefined {
  const name = typed.replace(/=.*/, '');
  const habits = Object.hasOwn(SWITCHES, command) ? SWITCHES[command] : undefined;
  return habits !== undefined && Object.hasOwn(habits, name) ? habits[name] : undefined;
}
