// One browser, whose pages must not fail in silence.
import { chromium } from 'playwright-core';

export const url = process.env.LOCKSTEP_URL;
const token = process.env.LOCKSTEP_TOKEN;

export const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  headless: true,
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
    '--disable-sync',
  ],
});

// What went wrong in any page.
export const problems = [];

// Logs in by the form, as people do, and returns the cookies.
async function login() {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(`${url}/devices`);
  await page.getByLabel('Token').fill(token);
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.waitForURL(`${url}/devices`);
  const state = await context.storageState();
  await context.close();
  return state;
}
const storageState = await login();

// A window of somebody who is logged in. `expected` says which console errors belong to the test.
export async function open({ expected = [], ...options } = {}) {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 800 }, storageState, ...options,
  });
  context.setDefaultTimeout(20_000);
  const page = await context.newPage();
  const isExpected = (text) => expected.some((each) => text.includes(each));
  page.on('console', (message) => {
    const text = message.text();
    if (['error', 'warning'].includes(message.type()) && !isExpected(text)) problems.push(`console of ${page.url()}: ${text}`);
  });
  page.on('pageerror', (error) => problems.push(`script of ${page.url()}: ${error}`));
  page.on('requestfailed', (request) => {
    const isEnd = /ERR_ABORTED/.test(request.failure()?.errorText ?? '');
    if (!isEnd) problems.push(`request of ${page.url()}: ${request.url()} ${request.failure()?.errorText}`);
  });
  page.on('request', (request) => {
    if (!request.url().startsWith(url) && !request.url().startsWith('data:')) problems.push(`foreign request: ${request.url()}`);
  });
  return page;
}

// What nobody but a script of an attacker sets.
export async function isUntouched(page) {
  const attacked = await page.evaluate(() => globalThis.attacked);
  if (attacked !== undefined) problems.push(`the text of an attacker ran on ${page.url()}`);
}

export function check(holds, what) {
  if (!holds) throw new Error(what);
}

export async function send(type, data) {
  const id = crypto.randomUUID();
  const event = { specversion: '1.0', id, source: 'urn:test', type, data };
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/cloudevents+json' };
  const answer = await fetch(`${url}/v1/events`, { method: 'POST', headers, body: JSON.stringify(event) });
  check(answer.status === 202, `${type}: ${answer.status} ${await answer.text()}`);
  const outcome = await fetch(`${url}/v1/messages?source=urn:test&id=${id}&wait=20`, { headers });
  check(outcome.ok, `${type}: ${await outcome.text()}`);
}
