/** Members that are present only with a value, for types that tell an absent member from an undefined one. */
type Given<Members> = { [Name in keyof Members]?: Exclude<Members[Name], undefined> };

/** @returns the members without those that are undefined: `{ ...given({ cwd }) }` */
export function given<Members extends object>(members: Members): Given<Members> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as Given<Members>;
}
