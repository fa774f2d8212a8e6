const ITSELF = 'banger doctor';
/** The remedy for a user who has run doctor already. */
const INSTEAD = 'banger daemon logs';

type WithRemedy = { remedy?: string | null | undefined };

/**
 * Drivers' errors name doctor as the remedy, and doctor may show the same error. @returns the report without remedies that name the report
 */
export function withoutCircle<Row extends WithRemedy, Sent extends WithRemedy>(report: { drivers: Row[]; findings: Sent[] }) {
  return { drivers: report.drivers.map(straight), findings: report.findings.map(straight) };
}

function straight<One extends WithRemedy>(one: One): One {
  return one.remedy === ITSELF ? { ...one, remedy: INSTEAD } : one;
}
