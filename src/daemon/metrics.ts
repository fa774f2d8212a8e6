import type * as Prometheus from '@prometheus-io/client';
import type { Stats } from '../api/schemas.ts';
import type { OperationRecord } from '../model/operation.ts';
import { SEEN_STATES } from '../model/vm-state.ts';

export type Metrics = {
  /** Counts every operation that ended. */
  count(operation: OperationRecord): void;
  /** @returns the text for Prometheus, measured now, and its content type */
  read(): Promise<{ text: string; contentType: string }>;
};

type Tally = { verb: string; state: string; count: number; seconds: number };

/**
 * Metrics for Prometheus. They are measured on request, and the library is loaded on the first request, so without a scraper the daemon
 * only pays for a few counters.
 */
export function createMetrics(about: { version: string; build: string }, stats: () => Promise<Stats>): Metrics {
  const tallies = new Map<string, Tally>();
  return {
    count({ verb, state, createdAt, endedAt }) {
      const key = `${verb} ${state}`;
      const tally = tallies.get(key) ?? { verb, state, count: 0, seconds: 0 };
      tally.count += 1;
      tally.seconds += Math.max(0, Date.parse(endedAt ?? createdAt) - Date.parse(createdAt)) / 1000;
      tallies.set(key, tally);
    },
    async read() {
      const client = await import('@prometheus-io/client');
      const registry = new client.Registry();
      const tell = teller(client, registry);
      tellProcess(tell);
      tell.gauge('banger_build_info', 'version and build of the daemon', [[{ version: about.version, build: about.build }, 1]]);
      tell.counter(
        'banger_operations_total',
        'operations that ended since the daemon started',
        [...tallies.values()].map(({ verb, state, count }) => [{ verb, state }, count]),
      );
      tell.counter(
        'banger_operation_seconds_total',
        'how long they took together',
        [...tallies.values()].map(({ verb, state, seconds }) => [{ verb, state }, seconds]),
      );
      tellStats(tell, await stats());
      return { text: await registry.metrics(), contentType: registry.contentType };
    },
  };
}

type Sample = [labels: Record<string, string>, value: number];
type Tell = Record<'gauge' | 'counter', (name: string, help: string, samples: readonly Sample[]) => void>;

function teller(client: typeof Prometheus, registry: Prometheus.Registry): Tell {
  const labelsOf = (samples: readonly Sample[]): string[] => Object.keys(samples[0]?.[0] ?? {});
  return {
    gauge(name, help, samples) {
      const gauge = new client.Gauge({ name, help, labelNames: labelsOf(samples), registers: [registry] });
      for (const [labels, value] of samples) gauge.set(labels, value);
    },
    counter(name, help, samples) {
      const counter = new client.Counter({ name, help, labelNames: labelsOf(samples), registers: [registry] });
      for (const [labels, value] of samples) counter.inc(labels, value);
    },
  };
}

/** Measured here: the library's own process metrics keep a timer that would wake an idle daemon a hundred times a second. */
function tellProcess(tell: Tell): void {
  const { user, system } = process.cpuUsage();
  tell.gauge('bangerd_resident_memory_bytes', 'memory of the daemon', [[{}, process.memoryUsage.rss()]]);
  tell.gauge('bangerd_start_time_seconds', 'when the daemon started, since 1970', [[{}, Date.now() / 1000 - process.uptime()]]);
  tell.counter('bangerd_cpu_seconds_total', 'processor time of the daemon', [[{}, (user + system) / 1_000_000]]);
}

function tellStats(tell: Tell, { host, reserved, allocatedBytes, ready, vms }: Stats): void {
  const each = (value: (vm: Stats['vms'][number]) => number | null): Sample[] =>
    vms.flatMap((vm): Sample[] => {
      const measured = value(vm);
      return measured === null ? [] : [[{ vm: vm.name, id: vm.id }, measured]];
    });
  tell.gauge(
    'banger_vms',
    'VMs by state',
    SEEN_STATES.map((state) => [{ state }, vms.filter((vm) => vm.state === state).length]),
  );
  tell.gauge('banger_templates', 'templates of VMs', [[{}, ready.templates]]);
  tell.gauge('banger_spares', 'clones that are ready for the next creations', [[{}, ready.spares]]);
  tell.gauge('banger_host_cpus', 'processors of this host', [[{}, host.cpuCount]]);
  tell.gauge('banger_host_memory_bytes', 'memory of this host', [[{}, host.memoryBytes]]);
  tell.gauge('banger_state_free_bytes', 'free space of the file system that holds the state', [[{}, host.disk.freeBytes]]);
  tell.gauge('banger_reserved_vcpus', 'virtual processors of VMs that have a VMM', [[{}, reserved.vcpuCount]]);
  tell.gauge('banger_reserved_memory_bytes', 'memory of VMs that have a VMM', [[{}, reserved.memoryBytes]]);
  tell.gauge('banger_disks_allocated_bytes', 'what all overlays and work disks take', [[{}, allocatedBytes]]);
  tell.gauge(
    'banger_vm_cpu_ratio',
    'processors that the VMM keeps busy',
    each(({ cpuPercent }) => (cpuPercent === null ? null : cpuPercent / 100)),
  );
  tell.gauge(
    'banger_vm_resident_bytes',
    'memory that the VMM has on the host',
    each(({ residentBytes }) => residentBytes),
  );
  tell.gauge(
    'banger_vm_disk_allocated_bytes',
    'what overlay and work disk take',
    each(({ rootOverlay, workDisk }) => rootOverlay.allocatedBytes + workDisk.allocatedBytes),
  );
}
