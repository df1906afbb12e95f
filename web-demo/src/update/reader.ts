/** Reads JSON of others strictly: what is missing, or of another kind, is refused by name. */

const LONGEST = 200;

type Content = Record<string, unknown>;

export class Reader {
  private constructor(private readonly value: unknown, private readonly place: string) {}

  /** The object in a text, which must be of the schema that this page reads. */
  static parse(text: string, place: string, schema: number): Reader {
    const reader = new Reader(JSON.parse(text), place);
    const found = reader.content.schema;
    if (found !== schema) throw new Error(`${place} has schema ${String(found)}, and this page reads ${schema}: reload the page for a newer one.`);
    return reader;
  }

  refuse(key: string, why: string): never {
    throw new Error(`${this.place}: ${key} ${why}.`);
  }

  has(key: string): boolean {
    return (this.content[key] ?? null) !== null;
  }

  at(key: string): Reader {
    return new Reader(this.content[key] ?? {}, `${this.place}: ${key}`);
  }

  optional(key: string): Reader | null {
    return this.has(key) ? this.at(key) : null;
  }

  list(key: string): Reader[] {
    const value = this.content[key];
    if (!Array.isArray(value)) this.refuse(key, 'is no list');
    return value.map((item, index) => new Reader(item, `${this.place}: ${key}[${index}]`));
  }

  entries(): [string, Reader][] {
    return Object.entries(this.content).map(([key, value]) => [key, new Reader(value, `${this.place}: ${key}`)]);
  }

  text(key: string): string {
    return this.at(key).asText();
  }

  texts(): Record<string, string> {
    return Object.fromEntries(this.entries().map(([key, item]) => [key, item.asText()]));
  }

  number(key: string): number {
    const value = this.content[key];
    return typeof value === 'number' && Number.isFinite(value) ? value : this.refuse(key, 'is no number');
  }

  /** A whole number from 0 on. */
  whole(key: string): number {
    const value = this.number(key);
    return Number.isSafeInteger(value) && value >= 0 ? value : this.refuse(key, 'is no whole number from 0 on');
  }

  version(key: string): number {
    return this.whole(key) || this.refuse(key, 'is no whole number from 1 on');
  }

  flag(key: string): boolean {
    const value = this.content[key] ?? false;
    return typeof value === 'boolean' ? value : this.refuse(key, 'is neither true nor false');
  }

  asText(): string {
    const {value} = this;
    if (typeof value === 'string' && value.length <= LONGEST) return value;
    throw new Error(`${this.place} is no text of at most ${LONGEST} characters.`);
  }

  asVersion(): number {
    const {value} = this;
    if (Number.isSafeInteger(value) && (value as number) >= 1) return value as number;
    throw new Error(`${this.place} is no whole number from 1 on.`);
  }

  private get content(): Content {
    if (typeof this.value === 'object' && this.value !== null && !Array.isArray(this.value)) return this.value as Content;
    throw new Error(`${this.place} is no object.`);
  }
}
