/** Browser tests of the page of alerts. */
import { accessible } from './axe.mjs';
import { equal, liveChart, ok, until } from './harness.mjs';

/** Tests against the fake server. */
export function alertTests(withFake) {
  return [
    withFake('an alert is shown, counted and noted wherever one is', {}, async (visitor, fake) => {
      const page = await visitor.open(fake.url);
      await page.evaluate(() => {
        window.told = [];
        window.Notification = function (title, { body }) {
          window.told.push(`${title}: ${body}`);
        };
        window.Notification.permission = 'default';
        window.Notification.requestPermission = () => {
          window.Notification.permission = 'granted';
          return Promise.resolve('granted');
        };
      });
      await liveChart(page, 1);
      const { alerts } = fake;
      const listens = () => page.evaluate(() => window.tapedeck.alerts.link.current.phase);
      await until('the stream of alerts', async () => (await listens()) === 'live');
      fake.push(alerts.fire('r', 'SIM:AAPL', 187.24, '2.13% move!'));
      const toast = page.getByRole('complementary', { name: 'Newest alert' });
      await toast.getByText('2.13% move!').waitFor();
      await toast.hover(); // it stays for who is at it
      const region = page.getByRole('status', { name: 'Alerts' });
      await until(
        'it is read out',
        async () => (await region.innerText()) === 'Alert. SIM:AAPL: 2.13% move!',
      );
      await accessible(page, 'an alert over the chart', 'aside');
      fake.push(alerts.fire('r', 'SIM:MSFT', 240.5, '2.50% move!'));
      await toast.getByText('And 1 more').waitFor();
      await page.getByRole('link', { name: 'Alerts 2 new' }).waitFor();
      equal(await page.evaluate(() => window.told), [], 'notifications before they are wanted');

      await page.keyboard.press('a');
      await until('a title of its own', async () => (await page.title()) === 'Alerts · Tapedeck');
      await toast.waitFor({ state: 'hidden' });
      await page.getByRole('link', { name: 'Alerts', exact: true }).waitFor();
      const list = page.getByRole('region', { name: 'Fired' }).getByRole('listitem');
      equal(await list.count(), 2, 'alerts');
      await list.first().getByText('SIM:MSFT at 240.50').waitFor();
      await page.getByRole('button', { name: 'Mark as seen: SIM:MSFT, 2.50% move!' }).click();
      await list.first().getByText('Seen').waitFor();
      ok(alerts.fired[0].acknowledged, 'the server knows');

      // Live, once; by the system only after a click, which is remembered.
      await page.getByRole('button', { name: 'Notify me on this computer' }).click();
      await page.locator('button[aria-pressed="true"]').getByText('Notify me').waitFor();
      fake.push(alerts.fire('r', 'SIM:SPY', 601, 'new'));
      await list.first().getByText('SIM:SPY').waitFor();
      await page.getByRole('button', { name: 'Mark as seen: SIM:SPY, new' }).waitFor();
      equal(await list.count(), 3, 'alerts after another');
      await until('the notification', async () => (await page.evaluate(() => window.told)).length);
      const last = (await page.evaluate(() => window.told)).at(-1);
      ok(last.startsWith('SIM:SPY: new'), last);
      equal(await page.evaluate(() => localStorage.getItem('tapedeck.notify')), 'yes', 'kept');
    }),

    withFake('rules from afar, on a phone', {}, async (visitor, fake) => {
      visitor.expected.push(/403/);
      const { alerts } = fake;
      alerts.rules.set('a', {
        id: 'a',
        name: 'A long name of a rule that watches quite a lot',
        symbols: ['SIM:*'],
        when: 'abs(change("10s")) >= 2 and volume("1m") > 1000 or gap() and not (price > 100000)',
        severity: 'critical',
        for: '5s',
        webhooks: ['https://a.example/'],
      });
      for (let i = 0; i < 120; i++) alerts.fire('a', 'SIM:AAPL', 100 + i, `number ${i}`);
      const page = await visitor.open(`${fake.url}#page=alerts`, {
        viewport: { width: 360, height: 740 },
        isMobile: true,
        hasTouch: true,
        deviceScaleFactor: 2,
      });
      const list = page.getByRole('region', { name: 'Fired' }).getByRole('listitem');
      await list.first().getByText('number 119').waitFor();
      const small = () =>
        page.evaluate(() =>
          [...document.querySelectorAll('header a, header button, .alerts button, dialog button')]
            .map((e) => ({
              name: e.textContent.trim() || e.ariaLabel,
              box: e.getBoundingClientRect(),
            }))
            .filter(({ box }) => box.width > 0 && (box.height < 43.5 || box.width < 43.5))
            .map(({ name, box }) => `${name} ${box.width} × ${box.height}`),
        );
      equal(await small(), [], 'targets smaller than a finger');
      const wide = await page.evaluate(() => document.scrollingElement.scrollWidth);
      ok(wide <= 360, `nothing sticks out: ${wide} of 360`);
      await accessible(page, 'the page of alerts on a phone');
      await page.getByRole('button', { name: 'Show older' }).tap();
      await list.last().getByText('number 20').waitFor();
      await page.getByRole('button', { name: 'Show older' }).tap();
      await list.last().getByText('number 0').waitFor();
      equal(await list.count(), 120, 'alerts');

      alerts.far = true;
      await page.getByRole('switch', { name: '2% within 10 seconds' }).tap();
      await page.getByText('Rules cannot be changed from here.').waitFor();
      await page.getByText("the server's own machine only").first().waitFor();
      equal(alerts.rules.size, 1, 'rules');
      await page.getByRole('button', { name: 'New rule' }).tap();
      const dialog = page.getByRole('dialog', { name: 'New rule' });
      await dialog.getByRole('textbox', { name: 'Name', exact: true }).fill('N');
      await dialog.getByRole('textbox', { name: 'When', exact: true }).fill('price > 0');
      await dialog.getByRole('button', { name: 'Save' }).tap();
      await dialog.getByRole('alert').getByText("the server's own machine").waitFor();
      equal(await small(), [], 'targets of the form');
      await dialog.getByRole('button', { name: 'Cancel' }).tap();

      alerts.far = false;
      await page.getByRole('button', { name: /^Remove A long name/ }).tap();
      await page.getByText('No rules yet.').waitFor();
      await page.getByRole('button', { name: 'Undo' }).tap();
      await page.getByRole('switch', { name: /^Watch A long name/ }).waitFor();
      equal([...alerts.rules.keys()], ['a'], 'rules again');
    }),
  ];
}

/** A test against a real server, with the keyboard only. */
export function realAlerts(withServer) {
  return withServer('alerts of a real market, by keyboard', async (visitor, server) => {
    visitor.expected.push(/400/);
    const page = await visitor.open(server.url);
    await liveChart(page, 1);
    await page.keyboard.press('a');
    const easy = page.getByRole('switch', { name: '2% within 10 seconds', exact: true });
    await easy.focus();
    await page.keyboard.press('Space');
    const own = page.getByRole('switch', { name: 'Watch 2% within 10 seconds' });
    await own.waitFor();
    const [rule] = (await server.json('v1/alerts')).rules;
    equal(
      [rule.symbols, rule.when, rule.text, rule.off ?? false],
      [['*'], 'abs(change("10s")) >= 2', '{{abs(change("10s"))}}% move!', false],
      'the rule of the tutorial',
    );
    await page.keyboard.press('Space');
    await until('it is off', async () => (await server.json('v1/alerts')).rules[0].off === true);
    await until('both say so', async () => (await own.getAttribute('aria-checked')) === 'false');

    // A mistake is told at the form, at its field; Escape closes the form and not the page.
    const add = page.getByRole('button', { name: 'New rule' });
    await add.focus();
    await page.keyboard.press('Enter');
    const dialog = page.getByRole('dialog', { name: 'New rule' });
    await dialog.waitFor();
    await page.keyboard.type('Any trade');
    const when = dialog.getByRole('textbox', { name: 'When', exact: true });
    await when.focus();
    await page.keyboard.type('price > oops');
    await dialog.getByRole('textbox', { name: 'Name', exact: true }).focus();
    await page.keyboard.press('Enter');
    await dialog.getByRole('alert').getByText('oops').waitFor();
    await until('the field', () => when.evaluate((e) => e === document.activeElement));
    for (const scheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme: scheme });
      await accessible(page, `the form of a rule, ${scheme}`);
    }
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'hidden' });
    ok(page.url().includes('page=alerts'), page.url());
    await until('the way back', () => add.evaluate((e) => e === document.activeElement));
    await page.keyboard.press('Enter');
    await page.keyboard.type('Any trade');
    await when.focus();
    await page.keyboard.type('price > 0');
    await dialog.getByLabel('Severity').selectOption('critical');
    await dialog.getByRole('button', { name: 'Save' }).focus();
    await page.keyboard.press('Enter');
    await dialog.waitFor({ state: 'hidden' });
    const list = page.getByRole('region', { name: 'Fired' }).getByRole('listitem');
    await until('one alert a symbol', async () => (await list.count()) === 4);
    await page.getByRole('button', { name: 'Mark as seen: SIM:NVDA, Any trade' }).waitFor();
    await page.getByRole('button', { name: 'Mark as seen: SIM:NVDA, Any trade' }).focus();
    await page.keyboard.press('Enter');
    await until('it is noted', async () =>
      (await server.json('v1/alerts/history')).alerts.some(
        (a) => a.symbol === 'SIM:NVDA' && a.acknowledged,
      ),
    );
    for (const scheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme: scheme });
      await accessible(page, `the page of alerts, ${scheme}`);
    }
    const text = await page.locator('body').innerText();
    ok(!/NaN|undefined|null|Infinity/.test(text), text);

    // The chart tells of the next one.
    await page.keyboard.press('Escape');
    await liveChart(page, 1);
    const body = { name: 'Loud', symbols: ['SIM:SPY'], when: 'price > 0', text: 'at {{price}}' };
    const added = await fetch(`${server.url}v1/alerts`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    });
    equal(added.status, 201, 'a rule of another program');
    await page
      .getByRole('complementary', { name: 'Newest alert' })
      .getByText(/^at \d/)
      .waitFor();
    await page.getByRole('complementary', { name: 'Newest alert' }).getByText('Loud').waitFor();
    await page.getByRole('link', { name: 'Alerts 1 new' }).waitFor();
  });
}
