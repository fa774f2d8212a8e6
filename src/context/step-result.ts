import { BangerError } from '../model/errors.ts';

/** What one step hands to those behind it in the same run; what must outlive the run is recorded instead. */
export type StepResult<Value> = {
  set(context: object, value: Value): void;
  /** @throws INTERNAL when the step has not run */
  get(context: object): Value;
  find(context: object): Value | undefined;
};

/** @param what for the error: "the root disk" */
export function stepResult<Value>(what: string): StepResult<Value> {
  const values = new WeakMap<object, { value: Value }>();
  const find = (context: object): Value | undefined => values.get(context)?.value;
  return {
    set: (context, value) => void values.set(context, { value }),
    get(context) {
      const value = find(context);
      if (value === undefined) throw new BangerError('INTERNAL', `${what} was asked for before it was made`);
      return value;
    },
    find,
  };
}
