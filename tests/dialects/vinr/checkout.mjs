// A checkout as VINR's guide has it, by a client of a few lines. Prints what it was answered, as JSON.

class VinrError extends Error {
  constructor(status, { error }) {
    super(error.message);
    Object.assign(this, { status, ...error });
  }
}

class Vinr {
  constructor({ secretKey, baseUrl }) {
    const send = async (method, path, body, { idempotencyKey } = {}) => {
      const headers = { 'X-Api-Key': secretKey, 'Content-Type': 'application/json' };
      if (idempotencyKey) headers['Idempotency-Key'] = idempotencyKey;
      const answer = await fetch(baseUrl + path, { method, headers, body: body && JSON.stringify(body) });
      const told = await answer.json();
      if (!answer.ok) throw new VinrError(answer.status, told);
      return told;
    };
    const noun = (path) => ({
      create: (body, options) => send('POST', path, body, options),
      retrieve: (id) => send('GET', `${path}/${id}`),
      list: (query = {}) => send('GET', `${path}?${new URLSearchParams(query)}`),
    });
    const verbs = (path, ...names) =>
      Object.fromEntries(names.map((name) => [name, (id, body = {}) => send('POST', `${path}/${id}/${name}`, body)]));
    this.payments = { ...noun('/payments'), ...verbs('/payments', 'confirm', 'cancel') };
    this.webhooks = noun('/webhooks');
    this.events = noun('/events');
    this.loyalty = {
      accounts: noun('/loyalty/accounts'),
      rewards: noun('/loyalty/rewards'),
      transactions: noun('/loyalty/transactions'),
      redemptions: { ...noun('/loyalty/redemptions'), ...verbs('/loyalty/redemptions', 'fulfill', 'reverse') },
    };
  }
}

const vinr = new Vinr({ secretKey: process.env.VINR_SECRET_KEY, baseUrl: process.env.VINR_URL });
const card = (number) => ({ payment_method: { card: { number } } });
const balance = async (id) => (await vinr.loyalty.accounts.retrieve(id)).balance;
const shown = {};

await vinr.webhooks.create({ url: 'http://127.0.0.1:9/hook', enabled_events: ['loyalty.*', 'payment.*'] });
const account = await vinr.loyalty.accounts.create({ customer: 'cust_abc123', metadata: { signup_channel: 'web' } });
await vinr.loyalty.transactions.create({ account: account.id, amount: 1500, reason: 'goodwill_credit' });
shown.before = await balance(account.id);

// 1. Spend points for a discount of EUR 5.00, twice under one key: the first answer was never heard.
const redeem = () =>
  vinr.loyalty.redemptions.create(
    { account: account.id, reward: 'rwd_fivecredit' },
    { idempotencyKey: 'rdm-cart-9f31' },
  );
const redemption = await redeem();
shown.same = (await redeem()).id === redemption.id;
shown.discount = redemption.discount;
shown.held = await balance(account.id);

// 2. Apply it to a payment, and pay.
const payment = await vinr.payments.create({
  amount: 2999,
  currency: 'EUR',
  customer: 'cust_abc123',
  discounts: [{ redemption: redemption.id }],
});
shown.charged = payment.amount_charged;
await vinr.payments.confirm(payment.id, card('4242 4242 4242 4242'));
shown.applied = (await vinr.loyalty.redemptions.retrieve(redemption.id)).status;
shown.earned = (await balance(account.id)) - shown.held;

// 3. Another one, whose card is declined: the points return.
const second = await vinr.loyalty.redemptions.create({ account: account.id, reward: 'rwd_fivecredit' });
const declined = await vinr.payments.create({
  amount: 2999,
  currency: 'EUR',
  customer: 'cust_abc123',
  discounts: [{ redemption: second.id }],
});
try {
  await vinr.payments.confirm(declined.id, card('4000 0000 0000 0002'));
} catch (error) {
  shown.declined = [error.status, error.type, error.code];
}
shown.released = (await vinr.loyalty.redemptions.retrieve(second.id)).status;

// 4. An item, sent, and one that came back.
const item = () =>
  vinr.loyalty.redemptions.create({
    account: account.id,
    reward: 'rwd_totebag',
    shipping: { name: 'Mira Olsen', line1: 'Storgata 12', city: 'Oslo', postalCode: '0155', country: 'NO' },
  });
const bag = await item();
shown.item = bag.status;
shown.sent = (await vinr.loyalty.redemptions.fulfill(bag.id, { tracking: 'NO-123' })).status;
const returned = await item();
shown.undone = (await vinr.loyalty.redemptions.reverse(returned.id, { reason: 'item_returned' })).status;

// 5. More than there is.
try {
  for (;;) await item();
} catch (error) {
  shown.refused = [error.status, error.type, error.code];
}
shown.after = await balance(account.id);
const ledger = await vinr.loyalty.transactions.list({ account: account.id, limit: 100 });
shown.sum = ledger.data.reduce((sum, one) => sum + one.amount, 0);
shown.events = (await vinr.events.list({ limit: 100 })).data.reverse().map((one) => one.type);
console.log(JSON.stringify(shown));
