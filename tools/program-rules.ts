// Which files start programs unconfined, with the rights of the daemon or the user. Programs that read data of a guest or a stranger are
// started by runConfined (src/host/confined.ts) instead, and have no line here. check-programs.ts checks src/ against it.

export type Starter = {
  file: string;
  programs: readonly string[];
  /** Why these programs read no data of guests or strangers, or what they are. */
  because: string;
};

export const STARTERS: readonly Starter[] = [
  { file: 'src/host/confined.ts', programs: ['bwrap', 'setpriv'], because: 'it is what confines' },
  { file: 'src/host/id-mapping.ts', programs: ['newuidmap', 'newgidmap'], because: 'they get numbers alone' },
  { file: 'src/host/fifo.ts', programs: ['mkfifo'], because: 'it gets paths of ours' },
  { file: 'src/host/sparse-copy.ts', programs: ['cp'], because: 'it copies bytes and understands none' },
  { file: 'src/host/process-stream.ts', programs: ['ssh'], because: 'a person named the other machine' },
  { file: 'src/host/clock-jumps.ts', programs: ['forwarder'], because: 'it is ours, and reads nothing' },
  { file: 'src/host/host.ts', programs: [], because: 'it hands the functions on' },
  { file: 'src/client/daemon-process.ts', programs: ['bangerd'], because: 'it is ours' },
  { file: 'src/client/ssh-process.ts', programs: ['ssh'], because: 'a person started it on a terminal' },
  {
    file: 'src/client/copy-process.ts',
    programs: ['banger-copy'],
    because: 'it is ours, puts files of a guest where a person may write, and parses no more than the archive they come in',
  },
  { file: 'src/setup/machine.ts', programs: ['systemctl', 'resolvectl'], because: 'a person sets this machine up' },
  { file: 'src/daemon/compose/http-front.ts', programs: ['node'], because: 'the front is ours' },
  { file: 'src/drivers/hypervisor/qemu/driver.ts', programs: ['qemu'], because: 'the VMM is the border to the guest itself' },
  { file: 'src/drivers/hypervisor/qemu/acceleration.ts', programs: ['qemu'], because: 'it runs a probe of ours' },
  { file: 'src/drivers/hypervisor/qemu/clock-probe.ts', programs: ['qemu'], because: 'it runs a probe of ours' },
  { file: 'src/drivers/hypervisor/qemu/checks.ts', programs: ['qemu'], because: 'it is asked for its version' },
  { file: 'src/drivers/hypervisor/firecracker/launch.ts', programs: ['firecracker'], because: 'the VMM is the border to the guest itself' },
  { file: 'src/drivers/hypervisor/firecracker/speed-probe.ts', programs: ['firecracker'], because: 'it runs a probe of ours' },
  { file: 'src/drivers/hypervisor/firecracker/checks.ts', programs: ['firecracker'], because: 'it is asked for its version' },
  { file: 'src/drivers/network/forwarder-process.ts', programs: ['forwarder'], because: 'it is ours, and parses packets without a right' },
  { file: 'src/drivers/network/private/checks.ts', programs: ['forwarder', 'nft'], because: 'rules of ours are tried' },
  { file: 'src/drivers/network/private/holder.ts', programs: ['nft'], because: 'it gets rules of ours' },
  {
    file: 'src/drivers/storage/qcow2/driver.ts',
    programs: ['qemu-img'],
    because: 'it is asked for its version; overlays are read confined',
  },
  { file: 'src/images/bundle/add-programs.ts', programs: ['firecracker'], because: 'its checksum is pinned, or a person named it' },
  { file: 'src/images/bundle/build-facts.ts', programs: ['sh', 'true'], because: 'nothing is read' },
  {
    file: 'src/images/bundle/build-steps.ts',
    programs: ['make', 'assemble.sh'],
    because: 'sources of ours, and packages that apt has verified',
  },
  {
    file: 'src/images/bundle/kernel.ts',
    programs: ['apt-cache', 'apt-get', 'dpkg-deb'],
    because: 'the package is one of the distribution of this host, and apt has verified it',
  },
  { file: 'src/images/bundle/publish.ts', programs: ['cp', 'ssh-keygen'], because: 'files of ours are copied, and a key is made' },
  {
    file: 'src/images/bundle/root-packages.ts',
    programs: ['apt-config', 'bootstrap.sh'],
    because: 'packages of the distribution of this host, which apt has verified, in namespaces of their own',
  },
  {
    file: 'src/images/provision/artifacts.ts',
    programs: ['npm', 'git'],
    because: 'clients of registries that a person chose; what they bring is pinned by its hash, and nothing of it is run',
  },
  {
    file: 'src/images/provision/packages.ts',
    programs: ['apt-get'],
    because: 'it reads lists that are signed; what the guest has installed is read by a confined one',
  },
];
