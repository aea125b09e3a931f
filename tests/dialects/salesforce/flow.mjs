// A checkout as Salesforce's guide has it, against the address in LOYALTY_URL; no packages, node 18 or newer.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';

const { LOYALTY_URL, LOYALTY_KEY, MEMBER } = process.env;
const LOCK_SECONDS = 60;

// --- the client --------------------------------------------------------------------------------------------------------

class LoyaltyError extends Error {
  constructor(status, [first]) {
    super(first.message);
    Object.assign(this, { status, code: first.errorCode, details: first });
  }
}

async function ask(path, options = {}, address = LOYALTY_URL) {
  const headers = { Authorization: `Bearer ${LOYALTY_KEY}`, ...options.headers };
  const answer = await fetch(address + path, { ...options, headers });
  const body = await answer.json();
  if (!answer.ok) throw new LoyaltyError(answer.status, body);
  return body;
}

const post = (path, body, requestId) =>
  ask(path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...(requestId && { 'X-Request-Id': requestId }) },
    body: JSON.stringify(body),
  });

const idempotencyKey = (text) => createHash('sha256').update(text).digest('hex');

async function awardLoyaltyPoints(orderId, memberId, points) {
  const made = await post(
    '/loyalty/transactions',
    {
      memberId,
      points,
      orderId,
      transactionType: 'Purchase',
      journalSubType: 'Purchase',
      processImmediately: true,
    },
    idempotencyKey(orderId),
  );
  return pollTransactionStatus(made.transactionId);
}

async function pollTransactionStatus(transactionId, times = 5) {
  const found = await ask(`/loyalty/transactions/${transactionId}`);
  if (found.processingStatus === 'Processed') return found;
  assert.ok(times > 0, `${transactionId} is still ${found.processingStatus}`);
  return pollTransactionStatus(transactionId, times - 1);
}

async function getRedemptionBalance(memberId, address = LOYALTY_URL) {
  const query = 'balanceType=AVAILABLE&includeExpiring=true';
  const found = await ask(
    `/loyalty/members/${memberId}/balance?${query}`,
    { headers: { 'Cache-Control': 'no-cache' } },
    address,
  );
  return {
    available: found.availableBalance,
    pending: found.pendingBalance,
    expiringSoon: found.expiringBalance,
    expiryDate: found.nextExpiryDate,
  };
}

async function redeemPoints(memberId, points, orderId, more = {}) {
  try {
    const made = await post(
      '/loyalty/redemptions',
      {
        memberId,
        points,
        orderId,
        validateBalance: true,
        failOnInsufficientBalance: true,
        redemptionType: 'Checkout',
        ...more,
      },
      idempotencyKey(`redeem-${orderId}`),
    );
    return { success: true, redemptionId: made.id };
  } catch (error) {
    if (error.code !== 'INSUFFICIENT_LOYALTY_BALANCE') throw error;
    const { available, pending } = await getRedemptionBalance(memberId);
    return { success: false, error: 'insufficient_balance', requested: points, available, pending };
  }
}

const reverseRedemption = (redemptionId) =>
  post('/loyalty/transactions', {
    transactionType: 'Reversal',
    originalTransactionId: redemptionId,
    processImmediately: true,
  });

// While the balance cannot be read points are granted up to the last known one, and told of once we can be reached again.
async function processRedemptionWithFallback(memberId, points, orderId, { address, lastKnown, queue }) {
  try {
    await getRedemptionBalance(memberId, address);
  } catch (error) {
    if (error instanceof LoyaltyError) throw error;
    if (points > lastKnown) return { success: false, error: 'over_last_known_balance' };
    queue.push({ memberId, points, orderId, lastKnownBalance: lastKnown });
    return { success: true, needsReconciliation: true };
  }
  return redeemPoints(memberId, points, orderId);
}

// --- the flow ----------------------------------------------------------------------------------------------------------

let steps = 0;

async function step(does) {
  await does();
  steps += 1;
}

let redemptionId;

await step(async () => {
  const awarded = await awardLoyaltyPoints('A-1001', MEMBER, 450);
  const again = await awardLoyaltyPoints('A-1001', MEMBER, 450);
  assert.equal(again.transactionId, awarded.transactionId);
});

await step(async () => {
  const balance = await getRedemptionBalance(MEMBER);
  assert.deepEqual([balance.available, balance.pending, balance.expiringSoon], [450, 0, 0]);
  assert.match(balance.expiryDate, /^\d{4}-\d\d-\d\d$/); // in a year: nothing to warn of yet
});

await step(async () => {
  const refused = await redeemPoints(MEMBER, 500, 'A-1002');
  assert.deepEqual(refused, {
    success: false,
    error: 'insufficient_balance',
    requested: 500,
    available: 450,
    pending: 0,
  });
});

await step(async () => {
  await awardLoyaltyPoints('A-1003', MEMBER, 400);
  const redeemed = await redeemPoints(MEMBER, 500, 'A-1002'); // the same key: the refusal did not use it up
  assert.equal(redeemed.success, true);
  assert.deepEqual(await redeemPoints(MEMBER, 500, 'A-1002'), redeemed);
  redemptionId = redeemed.redemptionId;
});

await step(async () => {
  const back = await reverseRedemption(redemptionId);
  assert.equal(back.points, 500);
  await assert.rejects(reverseRedemption(redemptionId), { code: 'REDEMPTION_REVERSED' });
  assert.equal((await getRedemptionBalance(MEMBER)).available, 850);
});

await step(async () => {
  await assert.rejects(redeemPoints('LM-nobody', 1, 'A-1004'), { status: 404, code: 'NOT_FOUND' });
});

await step(async () => {
  const tabs = ['A-1005', 'A-1006'].map((order) =>
    redeemPoints(MEMBER, 50, order, { lockBalance: true, lockTimeout: LOCK_SECONDS }),
  );
  const ended = await Promise.allSettled(tabs);
  const locked = ended.find((one) => one.status === 'rejected');
  const passed = ended.find((one) => one.status === 'fulfilled');
  assert.deepEqual([locked.reason.status, locked.reason.code], [409, 'UNABLE_TO_LOCK_ROW']);
  await reverseRedemption(passed.value.redemptionId); // and with it the lock ends
});

await step(async () => {
  const down = { address: 'http://127.0.0.1:9', lastKnown: 450, queue: [] };
  const tooMany = await processRedemptionWithFallback(MEMBER, 451, 'A-1007', down);
  assert.equal(tooMany.success, false);
  const granted = await processRedemptionWithFallback(MEMBER, 450, 'A-1007', down);
  assert.equal(granted.needsReconciliation, true);
  for (const { memberId, points, orderId, lastKnownBalance } of down.queue) {
    await redeemPoints(memberId, points, orderId, { lastKnownBalance });
  }
  const up = { ...down, address: LOYALTY_URL };
  const redeemed = await processRedemptionWithFallback(MEMBER, 50, 'A-1008', up);
  assert.equal(redeemed.success, true);
});

console.log(`${steps} steps`);
