// Checks of accessibility and pictures, of every page.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { check, isUntouched, open, problems, url } from './browser.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const folder = process.env.LOCKSTEP_SCREENSHOTS;

// In each color scheme and width: what axe finds, and that nothing is wider than the window.
export async function audit(paths) {
  const page = await open();
  for (const path of paths) {
    await page.goto(url + path);
    await page.evaluate(axe);
    for (const width of [1280, 390]) {
      await page.setViewportSize({ width, height: 800 });
      for (const colorScheme of ['light', 'dark']) {
        await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
        const found = await page.evaluate(async () => {
          const result = await globalThis.axe.run(document, { resultTypes: ['violations'] });
          return result.violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => `${node.target} ${node.failureSummary}`).join(' | ')}`);
        });
        for (const each of found) problems.push(`axe, ${path}, ${width}, ${colorScheme}: ${each}`);
      }
      const excess = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      if (excess > 0) problems.push(`${path} is ${excess} pixels wider than a window of ${width}`);
    }
    await isUntouched(page);
  }
  await keyboard(page);
  await page.context().close();
}

// The first key leads to the content, and every control can be seen when it has the focus.
async function keyboard(page) {
  await page.setViewportSize({ width: 1280, height: 800 });
  await page.goto(`${url}/devices`);
  await page.keyboard.press('Tab');
  check((await page.evaluate(() => document.activeElement.className)) === 'skip', 'the first key is not for the link to the content');
  await page.keyboard.press('Enter');
  await page.keyboard.press('Tab');
  const [inMain, outline] = await page.evaluate(() => {
    const active = document.activeElement;
    return [Boolean(active.closest('main')), getComputedStyle(active).outlineStyle];
  });
  check(inMain && outline !== 'none', `after the link, the focus is not seen in the content: ${inMain} ${outline}`);
}

// Pictures of the documentation, if they are asked for.
export async function picture(name, path, options = {}) {
  if (!folder) return;
  const { width = 1280, height = 800, colorScheme = 'light', before } = options;
  const page = await open({ viewport: { width, height }, colorScheme });
  await page.goto(url + path);
  if (before) await before(page);
  await page.screenshot({ path: `${folder}/${name}.png` });
  await page.context().close();
}
