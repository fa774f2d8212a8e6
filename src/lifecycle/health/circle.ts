const ITSELF = 'banger doctor';
/** What is left to whoever has asked doctor already. */
const INSTEAD = 'banger daemon logs';

type Told = { remedy?: string | null | undefined };

/** Errors of drivers send people to doctor, which may show the same error. @returns the report without a remedy that is the report */
export function withoutCircle<Row extends Told, Verdict extends Told>(report: { drivers: Row[]; verdicts: Verdict[] }) {
  return { drivers: report.drivers.map(straight), verdicts: report.verdicts.map(straight) };
}

function straight<One extends Told>(one: One): One {
  return one.remedy === ITSELF ? { ...one, remedy: INSTEAD } : one;
}
