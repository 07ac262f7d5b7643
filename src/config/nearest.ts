/**
 * "Did you mean ...?": the known word nearest to a mistyped one.
 * Distance counts inserted, removed, replaced and swapped letters; a word may be off by a third,
 * or be the beginning of the one that was meant.
 */

/** ` (did you mean "word"?)` with its leading blank, or nothing when no word is near. */
export function didYouMean(word: string, known: Iterable<string>): string {
  const folded = fold(word);
  let best = '';
  let bestDistance = Math.max(1, Math.floor(folded.length / 3)) + 1;
  for (const candidate of known) {
    const other = fold(candidate);
    const isBeginning = folded.length >= 3 && other.startsWith(folded);
    const distance = isBeginning ? 1 : distanceBetween(folded, other);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best === '' ? '' : ` (did you mean "${best}"?)`;
}

/** Case, dashes and camelCase are the usual slips, and no distance at all. */
function fold(word: string): string {
  return word.slice(0, 64).toLowerCase().replace(/[-_ ]/g, '');
}

function distanceBetween(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = last[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      let cost = Math.min(replaced, last[j] + 1, row[j - 1] + 1);
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (isSwap) cost = Math.min(cost, beforeLast[j - 2] + 1);
      row.push(cost);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length];
}
