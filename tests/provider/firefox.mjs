// A Firefox as its distribution packages it, driven over WebDriver BiDi with puppeteer-core.
//
// Reads one JSON document per line from standard input and answers each with one line. The first says how to
// start: {"executable", "profile", "preferences"}. The others are commands, {"verb", "tab", "inside", ...}; "inside"
// means the app's frame of that tab, not its page. Answers are {"value": ...} or {"problem": "..."}. Ends when standard
// input closes, and the browser with it.

import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';

import puppeteer from 'puppeteer-core';

const PATIENCE = 60_000; // milliseconds a step may take; machines that run the tests are slow and noisy
const PAUSE = 100;

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const options = JSON.parse((await lines.next()).value);
const browser = await puppeteer.launch({
  browser: 'firefox',
  executablePath: options.executable,
  userDataDir: options.profile,
  extraPrefsFirefox: options.preferences,
  defaultViewport: { width: 1280, height: 800 },
  protocolTimeout: 3 * PATIENCE,
});
const tabs = [];

const pause = () => new Promise((resolve) => { setTimeout(resolve, PAUSE); });

// The frame is replaced while an app is opened: what fails then is asked again.
async function until(ask, what, patience = PATIENCE) {
  const end = Date.now() + patience;
  let last = '';
  do {
    try {
      const found = await ask();
      if (found) return found;
    } catch (error) {
      last = error.message;
    }
    await pause();
  } while (Date.now() < end);
  throw new Error(`waited in vain for ${what} ${last}`);
}

async function place({ tab, inside }) {
  if (!inside) return tabs[tab].mainFrame();
  const frame = await tabs[tab].$('#frame');
  return frame.contentFrame();
}

const call = ({ script, about }) => `(${script})(${JSON.stringify(about ?? null)})`;
const found = (command) => until(async () => (await place(command)).$(command.element), command.element);

const verbs = {
  version: () => browser.version(),

  async open() {
    const tab = await browser.newPage();
    tab.setDefaultTimeout(PATIENCE);
    return tabs.push(tab) - 1;
  },

  // A window that a page has opened; what Firefox itself begins with is blank.
  async opened() {
    const isNew = (page) => !tabs.includes(page) && page.url() !== 'about:blank';
    const tab = await until(async () => (await browser.pages()).find(isNew), 'a new window');
    tab.setDefaultTimeout(PATIENCE);
    return tabs.push(tab) - 1;
  },

  async closed({ tab }) {
    await until(() => tabs[tab].isClosed(), 'its end');
  },

  // goto() would wait for frames of the old page that have long been replaced; so the new page is asked.
  async go({ tab, url }) {
    await tabs[tab].evaluate(() => { window.left = true; });
    let failed = null;
    tabs[tab].goto(url, { timeout: 0 }).catch((error) => { failed = error; });
    const there = () => tabs[tab].evaluate(() => !window.left && document.readyState !== 'loading');
    await until(async () => failed !== null || await there(), url);
    if (failed !== null) throw failed;
  },

  url: ({ tab }) => tabs[tab].url(),

  async see(command) {
    await until(async () => (await (await place(command)).$(command.element))?.isVisible(), command.element);
  },

  async click(command) {
    await until(async () => {
      const element = await (await place(command)).$(command.element);
      if (!await element?.isVisible()) return false;
      await element.click();
      return true;
    }, command.element);
  },

  async fill(command) {
    const element = await found(command);
    await element.click({ count: 3 });
    await element.press('Backspace');
    await element.type(command.text);
  },

  async upload(command) {
    await (await found(command)).uploadFile(command.file);
  },

  async ask(command) {
    return (await place(command)).evaluate(call(command));
  },

  async load(command) {
    await (await place(command)).evaluate(await readFile(command.file, 'utf8'));
  },

  wait: (command) => until(
    async () => (await place(command)).evaluate(call(command)),
    `${command.script} ${JSON.stringify(command.about ?? null)}`,
    command.patience,
  ),

  press: ({ tab, key }) => tabs[tab].keyboard.press(key),

  size: ({ tab, width, height }) => tabs[tab].setViewport({ width, height }),

  async shoot({ tab, path }) {
    await tabs[tab].screenshot({ path });
  },

  front: ({ tab }) => tabs[tab].bringToFront(),
};

process.stdout.write(`${JSON.stringify({ value: await browser.version() })}\n`);
for await (const line of lines) {
  const command = JSON.parse(line);
  let answer;
  try {
    answer = { value: (await verbs[command.verb](command)) ?? null };
  } catch (error) {
    answer = { problem: `${command.verb}: ${error.message}` };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await browser.close();
process.exit();
