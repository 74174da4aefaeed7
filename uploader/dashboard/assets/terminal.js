// What a terminal makes of text: lines that are redrawn, and colours.

const SEQUENCE = /\x1b\[([\d;?]*)([ -/]*[@-~])|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-_]|[\r\n\b]|[^\x1b\r\n\b]+|\x1b/g;

/** Lines of text as a terminal shows it; they keep their colour codes. Colours end with their line. */
export class Terminal {
  lines = [""];
  /** The first line that has changed since somebody set this. */
  changed = 0;
  #row = 0;
  #again = false; // the next text begins the line again, as after a carriage return

  feed(text) {
    for (const [part, numbers, end] of text.matchAll(SEQUENCE)) {
      if (part === "\n") this.#down(1);
      else if (part === "\r") this.#again = true;
      else if (end === "A") this.#to(this.#row - (Number(numbers) || 1));
      else if (end === "B") this.#down(Number(numbers) || 1);
      else if (end === "K" || end === "J") this.#write("");
      else if (end === "m" || !/^[\x1b\b]/.test(part)) this.#write(part);
    }
  }

  #write(text) {
    this.lines[this.#row] = this.#again ? text : this.lines[this.#row] + text;
    this.#again = false;
    this.changed = Math.min(this.changed, this.#row);
  }

  #to(row) {
    this.#row = Math.max(row, 0);
    this.#again = true;
  }

  #down(count) {
    this.#row += Math.min(count, 100);
    this.#again = this.#row < this.lines.length;
    while (this.lines.length <= this.#row) this.lines.push("");
  }
}

/** A line's parts, each with the classes of its look: bold and c1 to c6, or none. */
export function parts(line) {
  const found = [];
  let [bold, colour] = [false, 0];
  for (const [text, codes] of line.matchAll(/\x1b\[([\d;]*)m|[^\x1b]+/g)) {
    if (codes === undefined) { found.push([text, [bold && "bold", colour && `c${colour}`].filter(Boolean).join(" ")]); continue; }
    for (const code of codes.split(";").map(Number)) {
      if (code === 0) [bold, colour] = [false, 0];
      else if (code === 1) bold = true;
      else if (code === 22) bold = false;
      else if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97)) colour = (code % 10) % 7;
      else if (code === 39) colour = 0;
    }
  }
  return found;
}
