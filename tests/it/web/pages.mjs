// The main job of each page, as somebody does it in a browser.
import { audit, picture } from './audit.mjs';
import { browser, check, isUntouched, open, problems, send, url } from './browser.mjs';

// A page that is not loaded again keeps this.
const keep = (page) => page.evaluate(() => { globalThis.kept = true; });
const isKept = (page) => page.evaluate(() => globalThis.kept === true);

async function fleet() {
  const page = await open();
  await page.goto(url);
  await keep(page);
  const tile = page.locator('.tiles li', { hasText: 'not synchronized' }).locator('b');
  check((await tile.textContent()) === '12', `before: ${await tile.textContent()}`);
  return async () => {
    await page.waitForFunction(() => !document.querySelector('.tiles').textContent.includes('12 MANAGED'));
    check(await isKept(page), 'the fleet was loaded again');
    await page.context().close();
  };
}

async function trend() {
  const page = await open();
  await page.goto(url);
  // A worker takes the first sample within half a minute.
  await page.locator('.plot .line').first().waitFor({ state: 'attached', timeout: 60_000 });
  await page.getByText('As a table').click();
  const table = page.getByRole('table', { name: 'The worst moment of each part of the time' });
  await table.locator('tbody tr').first().waitFor();
  await page.getByRole('link', { name: '30 days' }).click();
  await page.getByText('within 30 days at most').waitFor();
  check(new URL(page.url()).search === '?period=30d', page.url());
  await page.context().close();
}

async function auditAndExplain() {
  const page = await open();
  await page.goto(url);
  await page.getByRole('link', { name: 'Audit', exact: true }).click();
  await page.locator('select[name=kind]').selectOption('command');
  await page.getByLabel('About', { exact: true }).fill('dist1');
  await page.locator('select[name=outcome]').selectOption('applied');
  await page.getByRole('button', { name: 'Filter' }).click();
  await page.getByText('line card is being changed').first().waitFor();
  await isUntouched(page);
  check((await page.locator('tbody tr').count()) === 1, 'one decision about dist1');
  const exported = await page.request.get(url + (await page.getByRole('link', { name: /^Export/ }).getAttribute('href')));
  check((await exported.json()).entries.length === 1, 'the export has the same entry');
  // From why a device is not synchronized to what followed from its cause.
  await page.goto(`${url}/devices/leaf00002`);
  await page.locator('.causes').getByRole('link').first().click();
  await page.getByRole('heading', { name: /^Explain message/ }).waitFor();
  await page.getByText(/^Rule: /).first().waitFor();
  await page.getByText('A name server <img src=x onerror="attacked=1"> for access switches').first().waitFor();
  await page.getByText(/^Trace [0-9a-f]{32}$/).waitFor();
  await isUntouched(page);
  await page.getByRole('search').getByRole('textbox').fill('3');
  await page.getByRole('button', { name: 'Explain', exact: true }).click();
  await page.getByRole('link', { name: 'Execution 3' }).waitFor();
  await page.context().close();
}

async function devices() {
  const page = await open();
  await page.goto(`${url}/devices?limit=5`);
  check((await page.locator('tbody tr').count()) === 5, 'five rows');
  await page.getByRole('link', { name: 'Next page' }).click();
  await page.getByRole('link', { name: 'Next page' }).click();
  check((await page.locator('tbody tr').count()) === 4, 'the last page has four rows');
  await page.locator('select[name=synchronized]').selectOption('false');
  await page.locator('select[name=state]').selectOption('MANAGED');
  await page.getByRole('button', { name: 'Filter' }).click();
  await page.getByRole('link', { name: 'Count all' }).click();
  await page.getByText('12 match the filter').waitFor();
  await page.getByLabel('Select all on this page').check();
  await page.getByText(/\d+ checked\./).waitFor();
  await page.getByLabel('Select all on this page').uncheck();
  await page.getByLabel('Select leaf00001').check();
  await page.locator('select[name=task]').selectOption({ label: 'vlan is there' });
  await page.getByRole('button', { name: 'Run on the checked devices …' }).click();
  await page.getByRole('heading', { name: 'vlan is there' }).waitFor();
  check((await page.getByLabel('Names of these').inputValue()) === 'leaf00001', 'the name is in the form');
  await page.context().close();
}

async function device() {
  const page = await open();
  await page.goto(`${url}/devices/leaf00001`);
  await page.getByText('A name server <img src=x onerror="attacked=1"> for access switches').first().waitFor();
  await page.getByText('access/base_system.yml').first().waitFor();
  await page.getByText('</pre><img src=x').first().waitFor();
  await isUntouched(page);
  // A plan of this device, live, then its application.
  await page.getByRole('button', { name: 'Plan a sync' }).click();
  await page.getByRole('heading', { name: /^Execution \d+$/ }).waitFor();
  await page.getByRole('button', { name: 'Apply the plan' }).waitFor();
  await page.getByRole('link', { name: 'Differences', exact: true }).click();
  await page.locator('.difference .add', { hasText: '+ip name-server vrf default 192.0.2.53' }).waitFor();
  await page.goBack();
  await page.getByLabel('I looked at the differences').check();
  await page.getByRole('button', { name: 'Apply the plan' }).click();
  await page.waitForFunction(() => document.querySelector('h1 + p')?.textContent.includes('dry run') === false);
  await page.locator('#progress', { hasText: 'successful' }).waitFor();
  await page.goto(`${url}/devices/leaf00001`);
  await page.getByRole('heading', { name: 'Why it is synchronized' }).waitFor();
  await page.locator('summary').click();
  await page.locator('#mark-note').fill('by the test');
  await page.getByRole('button', { name: 'Mark as not synchronized' }).click();
  await page.getByText('Your command was processed').waitFor();
  await page.getByText('by the test').first().waitFor();
  await page.context().close();
}

async function execution() {
  const page = await open();
  await page.goto(`${url}/devices?synchronized=false`);
  await page.getByRole('button', { name: 'Plan a sync of all devices' }).click();
  await page.getByRole('heading', { name: /^Execution \d+$/ }).waitFor();
  await keep(page);
  await page.getByRole('button', { name: 'Apply the plan' }).waitFor();
  await page.locator('#progress', { hasText: '12 of 12 ended' }).waitFor();
  await page.locator('#rows', { hasText: 'successful' }).waitFor();
  check(await isKept(page), 'the execution was loaded again');
  await page.locator('select[name=outcome]').selectOption('failed');
  await page.getByRole('button', { name: 'Filter' }).click();
  await page.getByText('No element matches.').waitFor();
  const plan = page.url().split('?')[0];
  await page.context().close();
  // A run that waits for its device, cancelled with a question.
  const other = await open();
  other.on('dialog', (dialog) => dialog.accept());
  await other.goto(plan);
  await other.getByLabel('I looked at the differences').check();
  await other.getByLabel('Canary').fill('1');
  await other.getByRole('button', { name: 'Apply the plan' }).click();
  await other.getByRole('button', { name: 'Pause' }).click();
  await other.getByRole('button', { name: 'Resume' }).waitFor();
  await picture('execution', new URL(other.url()).pathname);
  await other.getByRole('button', { name: 'Cancel' }).click();
  await other.locator('#progress', { hasText: 'aborted' }).or(other.locator('#progress', { hasText: 'partial failed' })).waitFor();
  await other.context().close();
  return new URL(plan).pathname;
}

async function task() {
  for (const javaScriptEnabled of [true, false]) {
    const page = await open({ javaScriptEnabled, expected: ['422'] });
    await page.goto(`${url}/tasks`);
    await page.getByRole('link', { name: 'vlan is there' }).click();
    const native = page.getByLabel('Native VLAN');
    check((await native.isVisible()) === !javaScriptEnabled, 'the rule of the native VLAN');
    await page.getByLabel('Mode').selectOption('trunk');
    check(await native.isVisible(), 'the native VLAN of a trunk');
    await page.getByLabel('Mode').selectOption('access');
    await page.getByLabel(/^VLAN/).fill('5000');
    await page.getByLabel('Names of these').fill('leaf00001\nleaf00002');
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    await page.getByText('5000 is greater than the maximum of 4094').waitFor();
    check((await page.getByLabel(/^VLAN/).getAttribute('aria-invalid')) === 'true', 'the field is not marked');
    await page.getByLabel(/^VLAN/).fill('7');
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    await page.getByRole('heading', { name: /^Execution \d+$/ }).waitFor();
    // Without JavaScript somebody looks again.
    if (!javaScriptEnabled) {
      while (!(await page.locator('#progress', { hasText: '2 of 2 ended' }).count())) await page.reload();
    }
    await page.locator('#progress', { hasText: '2 of 2 ended' }).waitFor();
    await page.getByText('"vlan": 7').waitFor();
    await page.context().close();
  }
}

async function hostile() {
  const page = await open();
  await page.goto(`${url}/tasks`);
  await page.getByRole('link', { name: '<script>attacked=1</script> facts' }).click();
  await page.getByRole('heading', { name: '<script>attacked=1</script> facts' }).waitFor();
  await isUntouched(page);
  await page.goto(`${url}/devices/dist1`);
  await page.getByText('<img src=x onerror="attacked=1">line card is being changed').first().waitFor();
  await isUntouched(page);
  await page.context().close();
}

async function repositories() {
  const page = await open();
  await page.goto(`${url}/repositories`);
  await page.locator('#settings').getByRole('button', { name: 'Fetch now' }).click();
  await page.getByText('Your command was processed').waitFor();
  await page.context().close();
}

async function cloudvision() {
  const page = await open();
  await page.goto(`${url}/cloudvision`);
  check((await page.locator('tbody tr').count()) > 3, 'tasks of the sweep');
  await page.getByText(/kept: /).first().waitFor();
  await page.context().close();
}

async function deadLetters() {
  await send('lockstep.device.upgraded', { hostname: 'gone2', result: 'successful' }).catch(() => {});
  const page = await open();
  page.on('dialog', (dialog) => dialog.accept());
  await page.goto(`${url}/dead-letters`);
  await picture('dead-letters', '/dead-letters');
  await page.locator('#list').locator('..').getByRole('link', { name: /^\d+$/ }).first().click();
  await page.getByRole('heading', { name: /^Dead letter \d+$/ }).waitFor();
  await page.getByText('gone1').or(page.getByText('gone2')).first().waitFor();
  await page.getByLabel('discard it for good').check();
  await page.getByRole('button', { name: 'Drop' }).click();
  await page.getByText('Your command was processed').waitFor();
  await page.getByText('dropped').first().waitFor();
  await page.context().close();
}

const jobs = process.argv.slice(2);
try {
  const isOn = (name) => jobs.length === 0 || jobs.includes(name);
  const looksAgain = isOn('fleet') ? await fleet() : async () => {};
  await picture('device', '/devices/leaf00003', { height: 1100 });
  await picture('device-narrow', '/devices/leaf00003', { width: 390, height: 844 });
  await picture('devices', '/devices', { height: 700 });
  const steps = { trend, auditAndExplain, devices, hostile, repositories, cloudvision, deadLetters, device, task };
  for (const [name, step] of Object.entries(steps)) if (isOn(name)) await step();
  await picture('fleet', '/', { height: 900 });
  await picture('fleet-dark', '/', { height: 900, colorScheme: 'dark' });
  const plan = isOn('execution') ? await execution() : '/executions/3';
  await looksAgain();
  await picture('differences', `${plan}/devices`);
  await picture('repositories', '/repositories');
  await picture('cloudvision', '/cloudvision');
  await picture('task', '/tasks/1');
  await picture('audit', '/audit');
  await picture('explain', '/explain/3');
  if (isOn('audit')) {
    await audit([
      '/', '/devices', '/devices/leaf00002', '/executions', plan, `${plan}/devices`, `${plan}/devices/leaf00002`, '/elements/1', '/tasks',
      '/tasks/1', '/tasks/2', '/repositories', '/cloudvision', '/dead-letters?state=all', '/dead-letters/1', '/messages?id=none',
      '/?period=2d', '/audit', '/explain', '/explain/3',
    ]);
  }
} catch (error) {
  problems.push(error.stack);
} finally {
  await browser.close();
}
for (const problem of problems) console.error(problem);
process.exit(problems.length === 0 ? 0 : 1);
