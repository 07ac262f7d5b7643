/**
 * Reads what one test file printed (TAP version 14, as tap writes it) and says what it proves.
 *
 * Counted are leaf test points: assertions, not the lines that sum up a subtest. Everything that
 * does not add up is a failure of its own, so that a test file can never pass by falling silent:
 * no plan, a plan that disagrees with the points, a subtest that failed without a failed point,
 * "Bail out!", a skipped or todo point that is `not ok`.
 *
 *   # Subtest: name          opens a subtest, 4 columns deeper
 *       ok 1 - leaf          a leaf of it
 *         ---                diagnostics of the point above, 2 columns deeper than it
 *         ...
 *       1..1                 its plan
 *   ok 1 - name              closes it
 */

const INDENT = 4;

/** Parses one file's output to { passed, skipped, failures: [{ name, detail }] }. */
export function readTap(text) {
  const result = { passed: 0, skipped: 0, failures: [] };
  const levels = [newLevel('')];
  let diagnostics;
  for (const line of text.split('\n')) {
    if (diagnostics !== undefined) {
      if (line.trim() === '...' && line.indexOf('...') <= diagnostics.column) {
        diagnostics = undefined;
      } else {
        diagnostics.failure?.detail.push(line.slice(diagnostics.column));
      }
      continue;
    }
    const depth = Math.floor(line.search(/\S|$/) / INDENT);
    const content = line.slice(depth * INDENT);
    if (/^ {2}---\s*$/.test(content)) {
      diagnostics = { column: depth * INDENT + 2, failure: levels[depth]?.lastFailure };
    } else {
      readLine(content, depth, levels, result);
    }
  }
  if (diagnostics !== undefined) fail(result, levels[0], 'the output ends inside diagnostics');
  while (levels.length > 1) closeLevel(levels, result, true);
  checkPlan(levels[0], result);
  return result;
}

function newLevel(path) {
  return {
    path, points: 0, failed: 0, plan: undefined, isBailed: false, isSkipped: false,
    lastFailure: undefined,
  };
}

function fail(result, level, name) {
  const failure = { name: [level.path, name].filter((part) => part !== '').join(' > '), detail: [] };
  result.failures.push(failure);
  level.failed += 1;
  return failure;
}

function readLine(content, depth, levels, result) {
  const subtest = /^# Subtest(?:: (.*))?$/.exec(content);
  if (subtest !== null) return openLevel(levels, depth, subtest[1] ?? '', result);
  const point = /^(not )?ok\b(?: (\d+))?(?: -)?(?: (.*?))?$/.exec(content);
  if (point !== null) return readPoint(point, depth, levels, result);
  const plan = /^1\.\.(\d+)(?:\s*# *(.*))?\s*$/.exec(content);
  if (plan !== null && levels[depth] !== undefined) {
    levels[depth].plan = Number(plan[1]);
    levels[depth].isSkipped = levels[depth].plan === 0 && /^skip/i.test(plan[2] ?? '');
    if (levels[depth].isSkipped) result.skipped += 1;
  }
  if (content.startsWith('Bail out!')) {
    fail(result, levels[Math.min(depth, levels.length - 1)], content.trim());
    for (const level of levels) level.isBailed = true;
  }
}

function openLevel(levels, depth, name, result) {
  while (levels.length > depth + 1) closeLevel(levels, result, true);
  const parent = levels[levels.length - 1];
  levels.push(newLevel([parent.path, name.trim()].filter((part) => part !== '').join(' > ')));
}

function readPoint([, not, , rest = ''], depth, levels, result) {
  // Deeper than any open subtest: text that a test printed, not a point of its own.
  if (depth >= levels.length) return;
  while (levels.length > depth + 2) closeLevel(levels, result, true);
  const level = levels[depth];
  const child = levels[depth + 1];
  level.points += 1;
  level.lastFailure = undefined;
  const directive = /(?:^|\s)# *(SKIP|TODO)\b/i.exec(rest);
  const name = rest.replace(/\s+# *(time=.*|(SKIP|TODO)\b.*)$/i, '').trim();
  if (child !== undefined) {
    closeLevel(levels, result, false);
    level.failed += child.failed;
    if (not !== undefined && child.failed === 0) level.lastFailure = fail(result, level, name);
    // A subtest without assertions is one itself: it would have failed by throwing.
    if (not === undefined && child.points === 0 && !child.isSkipped) result.passed += 1;
  } else if (directive !== null) {
    result.skipped += 1;
  } else if (not !== undefined) {
    level.lastFailure = fail(result, level, name);
  } else {
    result.passed += 1;
  }
}

/** Closes the deepest subtest; one that is torn never got the line that sums it up. */
function closeLevel(levels, result, isTorn) {
  const level = levels.pop();
  const parent = levels[levels.length - 1];
  if (isTorn && !level.isBailed) {
    fail(result, level, 'the subtest did not finish');
    parent.failed += level.failed;
    return;
  }
  checkPlan(level, result);
}

function checkPlan(level, result) {
  if (level.isBailed) return;
  if (level.plan === undefined) fail(result, level, 'no plan: the test did not finish');
  else if (level.plan !== level.points) {
    fail(result, level, `${level.points} test points, but the plan says ${level.plan}`);
  } else if (level.path === '' && level.points === 0 && !level.isSkipped) {
    fail(result, level, 'no test points');
  }
}
