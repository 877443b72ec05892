/**
 * What a setting may be, how it is written into an address and how it is read back. Everything read here may come from a
 * stranger's link: a text that is not exactly what `print` could have written gives `undefined`, never an error.
 */

export interface Field<T> {
  readonly fallback: T;
  /** `undefined`: not a value of this field. */
  parse(text: string): T | undefined;
  print(value: T): string;
}

/** The fields of one part of the state, by name. */
// `any`: a field both takes and gives its value, so no other type holds fields of all values.
export type Fields = Readonly<Record<string, Field<any>>>;

/** The values of such fields. */
export type Values<F extends Fields> = { readonly [K in keyof F]: F[K] extends Field<infer T> ? T : never };

/** Longer texts are of no field, and are not even looked at. */
export const LONGEST = 2000;

/** Text that `pattern` describes from its beginning to its end, and that `also` agrees to. */
export function text(fallback: string, pattern: RegExp, also: (text: string) => boolean = () => true): Field<string> {
  const whole = new RegExp(`^(?:${pattern.source})$`, pattern.flags.replace(/[gmy]/g, ""));
  return checked({ fallback, parse: (text) => (whole.test(text) && also(text) ? text : undefined), print: (value) => value });
}

/** A whole number from 0 to 2⁶⁴ − 1, as its digits: JavaScript's numbers do not reach that far. */
export function seed(fallback: string): Field<string> {
  return text(fallback, /\d{1,20}/, (digits) => BigInt(digits) < 2n ** 64n);
}

/** A whole number from `min` to `max`. */
export function whole(fallback: number, min: number, max: number): Field<number> {
  return decimal(fallback, min, max, 0);
}

/** A number from `min` to `max` with at most `digits` digits (6 or fewer) after the point; a value is rounded to these. */
export function decimal(fallback: number, min: number, max: number, digits: number): Field<number> {
  const form = digits === 0 ? /^-?\d{1,15}$/ : new RegExp(`^-?\\d{1,9}(\\.\\d{1,${digits}})?$`);
  return checked({
    fallback,
    parse(text) {
      if (!form.test(text)) return undefined;
      // The sum makes 0 of −0.
      const value = Number(text) + 0;
      return value >= min && value <= max ? value : undefined;
    },
    print: (value) => (digits === 0 ? String(value) : String(Number(value.toFixed(digits)) + 0)),
  });
}

/** One of a few words. */
export function choice<const T extends string>(fallback: NoInfer<T>, options: readonly T[]): Field<T> {
  return checked<T>({ fallback, parse: (text) => options.find((option) => option === text), print: (value) => value });
}

/** Yes or no. */
export function flag(fallback: boolean): Field<boolean> {
  return { fallback, parse: (text) => (text === "yes" ? true : text === "no" ? false : undefined), print: (value) => (value ? "yes" : "no") };
}

/** Up to `most` values of one field, numbers as a rule, with commas between them. */
export function list<T>(of: Field<T>, most: number, fallback: readonly T[] = []): Field<readonly T[]> {
  return checked<readonly T[]>({
    fallback,
    parse(text) {
      if (text === "") return [];
      const parts = text.split(",", most + 1);
      const values = parts.map((part) => of.parse(part)).filter((value) => value !== undefined);
      return parts.length <= most && values.length === parts.length ? values : undefined;
    },
    print: (values) => values.map((value) => of.print(value)).join(","),
  });
}

/** A default that is no value of its field is a mistake of ours, and found when the page starts. */
function checked<T>(field: Field<T>): Field<T> {
  if (field.parse(field.print(field.fallback)) === undefined) throw new RangeError(`the default ${String(field.fallback)} is not allowed`);
  return field;
}

export function defaults<F extends Fields>(fields: F): Values<F> {
  return Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.fallback])) as Values<F>;
}

/** Writes what differs from the defaults into `params`, as `prefix.name`. */
export function write<F extends Fields>(fields: F, values: Values<F>, prefix: string, params: URLSearchParams): void {
  for (const [name, field] of Object.entries(fields)) {
    const printed = field.print(values[name as keyof F]);
    if (printed !== field.print(field.fallback)) params.set(`${prefix}.${name}`, printed);
  }
}

/**
 * Reads what `write` wrote. A value that is missing is the default; one that cannot be is the default too, and its name
 * is put into `bad`.
 */
export function read<F extends Fields>(fields: F, prefix: string, params: URLSearchParams, bad: string[]): Values<F> {
  const values: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(fields)) {
    const key = `${prefix}.${name}`;
    const given = params.getAll(key);
    // Given twice it says two things, of which neither is to be believed.
    const value = given.length === 1 && given[0]!.length <= LONGEST ? field.parse(given[0]!) : undefined;
    if (given.length > 0 && value === undefined) bad.push(key);
    values[name] = value ?? field.fallback;
  }
  return values as Values<F>;
}
