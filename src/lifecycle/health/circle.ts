const ITSELF = 'banger doctor';
/** What is left to whoever has asked doctor already. */
const INSTEAD = 'banger daemon logs';

type WithRemedy = { remedy?: string | null | undefined };

/** Errors of drivers send people to doctor, which may show the same error. @returns the report without a remedy that is the report */
export function withoutCircle<Row extends WithRemedy, Sent extends WithRemedy>(report: { drivers: Row[]; findings: Sent[] }) {
  return { drivers: report.drivers.map(straight), findings: report.findings.map(straight) };
}

function straight<One extends WithRemedy>(one: One): One {
  return one.remedy === ITSELF ? { ...one, remedy: INSTEAD } : one;
}
