// System calls that a confined program may not make: interfaces of the kernel that no reader of files needs.

/** By number on x86-64 (arch/x86/entry/syscalls/syscall_64.tbl); they fail with EPERM. */
const REFUSED: Readonly<Record<string, number>> = {
  ...{ socket: 41, socketpair: 53, ptrace: 101, syslog: 103, personality: 135, pivot_root: 155, chroot: 161, acct: 163 },
  ...{ mount: 165, umount2: 166, swapon: 167, swapoff: 168, reboot: 169, sethostname: 170, setdomainname: 171, iopl: 172, ioperm: 173 },
  ...{ init_module: 175, delete_module: 176, quotactl: 179, kexec_load: 246, add_key: 248, request_key: 249, keyctl: 250 },
  ...{ unshare: 272, perf_event_open: 298, open_by_handle_at: 304, setns: 308, process_vm_readv: 310, process_vm_writev: 311 },
  ...{ kcmp: 312, finit_module: 313, kexec_file_load: 320, bpf: 321, userfaultfd: 323, io_uring_setup: 425, io_uring_enter: 426 },
  ...{ io_uring_register: 427, open_tree: 428, move_mount: 429, fsopen: 430, fsconfig: 431, fsmount: 432, fspick: 433 },
  ...{ pidfd_getfd: 438, mount_setattr: 442 },
};
const CLONE = 56;
/** Its flags are in memory, which a filter cannot read; without it, the C library falls back to `clone`. */
const CLONE3 = 435;
const CLONE_NEWUSER = 0x10000000;
/** A bit of x32 call numbers, which would be another way to make each call. */
const X32_BIT = 0x40000000;

/** Fields of struct seccomp_data (linux/seccomp.h). */
const [NUMBER_AT, ARCHITECTURE_AT, FIRST_ARGUMENT_AT] = [0, 4, 16];
const AUDIT_ARCH_X86_64 = 0xc000003e;
/** Codes of classic BPF (linux/bpf_common.h) and of its results. */
const [LOAD, EQUALS, AT_LEAST, HAS_BITS, RETURN] = [0x20, 0x15, 0x35, 0x45, 0x06];
const [ALLOW, KILL, EPERM, ENOSYS] = [0x7fff0000, 0x80000000, 0x00050001, 0x00050026];

type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, value: number];

/** @returns a program for `bwrap --seccomp`; undefined on architectures whose numbers are unknown here */
export function syscallFilter(architecture: string = process.arch): Buffer | undefined {
  if (architecture !== 'x64') return undefined;
  const refuse = (number: number): Instruction[] => [
    [EQUALS, 0, 1, number],
    [RETURN, 0, 0, EPERM],
  ];
  const program: Instruction[] = [
    [LOAD, 0, 0, ARCHITECTURE_AT],
    [EQUALS, 1, 0, AUDIT_ARCH_X86_64],
    [RETURN, 0, 0, KILL],
    [LOAD, 0, 0, NUMBER_AT],
    [AT_LEAST, 0, 1, X32_BIT],
    [RETURN, 0, 0, EPERM],
    ...Object.values(REFUSED).flatMap(refuse),
    [EQUALS, 0, 1, CLONE3],
    [RETURN, 0, 0, ENOSYS],
    [EQUALS, 0, 3, CLONE],
    [LOAD, 0, 0, FIRST_ARGUMENT_AT],
    [HAS_BITS, 0, 1, CLONE_NEWUSER],
    [RETURN, 0, 0, EPERM],
    [RETURN, 0, 0, ALLOW],
  ];
  return Buffer.concat(program.map(encode));
}

/** As struct sock_filter (linux/filter.h), little endian. */
function encode([code, ifTrue, ifFalse, value]: Instruction): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt16LE(code, 0);
  bytes.writeUInt8(ifTrue, 2);
  bytes.writeUInt8(ifFalse, 3);
  bytes.writeUInt32LE(value, 4);
  return bytes;
}
